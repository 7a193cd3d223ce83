"""What the audit finds in a folder: duplicates, strays, sizes and colours."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from utils.audit import (
    find_duplicates,
    hash_images,
    hash_pictures,
    list_strays,
    measure_channels,
    measure_sizes,
)
from utils.data import Split
from utils.pictures import Pictures


def draw_picture(seed: int) -> Image.Image:
    """Clouds and ellipses of random colours: no two seeds have anything in common."""
    generator = np.random.default_rng(seed)
    clouds = generator.integers(0, 256, (14, 14, 3)).astype(np.uint8)
    image = Image.fromarray(clouds).resize((128, 128), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(1):
        left, top = generator.integers(-20, 110, 2).tolist()
        wide, high = generator.integers(10, 30, 2).tolist()
        colour = tuple(generator.integers(0, 256, 3).tolist())
        draw.ellipse((left, top, left + wide, top + high), fill=colour)
    return image


def resize(image: Image.Image) -> Image.Image:
    return image.resize((70, 70)).resize((128, 128))


def compress(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=30)
    return Image.open(file)


def darken(image: Image.Image) -> Image.Image:
    return image.point(lambda value: int(0.6 * value))


def stack(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image) for image in images])


def make_pictures(array: np.ndarray) -> Pictures:
    paths = tuple(Path(f"{row}.png") for row in range(len(array)))
    labels = np.zeros(len(array), dtype=np.int64)
    return Pictures(Split("train", paths, labels, ("cats", "dogs")), array, "key")


@pytest.mark.parametrize("change", [resize, compress, darken])
def test_planted_duplicates_are_found(change):
    originals = [draw_picture(seed) for seed in range(30)]
    others = [draw_picture(seed) for seed in range(100, 120)]
    others[4] = change(originals[11])
    others[17] = change(originals[2])
    pairs = find_duplicates(hash_images(stack(originals)), hash_images(stack(others)))
    assert sorted(pair[:2] for pair in pairs) == [(2, 17), (11, 4)]
    assert all(0 <= pair[2] <= 20 for pair in pairs)


def test_unrelated_drawings_differ_in_half_of_the_bits():
    hashes = hash_images(stack([draw_picture(seed) for seed in range(40)]))
    assert hashes.shape == (40, 256) and hashes.dtype == torch.bool
    pairs = find_duplicates(hashes, hashes, largest_distance=256)
    between = [distance for row, column, distance in pairs if row != column]
    assert min(between) > 20 and 100 < np.mean(between) < 150
    assert [pair[2] for pair in pairs] == sorted(pair[2] for pair in pairs)
    for row, column, distance in pairs[::97]:
        assert distance == (hashes[row] ^ hashes[column]).sum()


def test_no_pictures_have_no_duplicates():
    hashes = hash_images(stack([draw_picture(0)]))
    assert find_duplicates(hashes, hashes[:0]) == []


def test_batches_have_the_hashes_of_the_whole():
    array = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3)).astype(np.uint8)
    assert torch.equal(hash_pictures(make_pictures(array)), hash_images(array))


def test_channels_equal_the_direct_computation():
    generator = np.random.default_rng(0)
    array = generator.integers(0, [256, 128, 30], (70, 16, 16, 3)).astype(np.uint8)
    array[64:] = 250  # a short last batch that is unlike the others
    mean, std = measure_channels(make_pictures(array))
    assert np.allclose(mean, (array / 255).mean(axis=(0, 1, 2)), atol=1e-6)
    assert np.allclose(std, (array / 255).std(axis=(0, 1, 2)), atol=1e-6)
    assert mean.dtype == std.dtype == torch.float32


def test_sizes_are_width_and_height(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "wide.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    paths = (tmp_path / "wide.png", tmp_path / "broken.jpg", tmp_path / "gone.png")
    split = Split("train", paths, np.zeros(3, dtype=np.int64), ("cats", "dogs"))
    assert measure_sizes(split).tolist() == [[30, 20], [0, 0], [0, 0]]


def test_strays_are_listed(tmp_path):
    for class_name in ("cats", "dogs"):
        (tmp_path / class_name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / class_name / "good.png")
    strays = [tmp_path / "cats" / ".hidden.png", tmp_path / "cats" / "Thumbs.db"]
    strays.append(tmp_path / "dogs" / "empty.jpg")
    for path in strays[:2]:
        path.write_bytes(b"content")
    strays[2].write_bytes(b"")
    assert list_strays(tmp_path, ("cats", "dogs")) == strays
