"""Duplicates: planted copies of the sample are found, and nothing else is."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from utils.inspection.audit import LARGEST_DISTANCE, find_duplicates, hash_files, hash_image
from utils.settings import ROOT


def compress(image: Image.Image, quality: int = 15) -> Image.Image:
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality)
    return Image.open(file)


def shrink(image: Image.Image) -> Image.Image:
    return image.resize((120, 120))


def darken(image: Image.Image) -> Image.Image:
    return image.point(lambda value: int(0.6 * value))


@pytest.fixture(scope="module")
def test_files(tmp_path_factory):
    """The sample's 300 test images as files."""
    folder = tmp_path_factory.mktemp("sample")
    with tarfile.open(ROOT / "data" / "dogscats-sample.tgz") as archive:
        archive.extractall(folder, filter="data")
    return sorted(folder.glob("*/valid/*/*.jpg"))


@pytest.fixture(scope="module")
def hashes(test_files):
    return hash_files(test_files)


@pytest.mark.parametrize("change", [compress, shrink, darken])
def test_all_planted_copies_of_the_sample_are_found_and_nothing_else(change, test_files, hashes):
    copies = np.array([hash_image(change(Image.open(file))) for file in test_files])
    pairs = find_duplicates(copies, hashes, largest_distance=256)
    own = [distance for row, column, distance in pairs if row == column]
    others = [distance for row, column, distance in pairs if row != column]
    assert len(own) == 300
    assert max(own) <= LARGEST_DISTANCE / 2 and min(others) >= 2 * LARGEST_DISTANCE
    found = find_duplicates(copies, hashes)
    assert sorted(pair[:2] for pair in found) == [(row, row) for row in range(300)]


def test_no_image_of_the_sample_is_there_twice(hashes):
    pairs = find_duplicates(hashes, hashes)
    assert [pair for pair in pairs if pair[0] != pair[1]] == []


def test_nearest_pairs_come_first_with_their_differing_bits(hashes):
    pairs = find_duplicates(hashes[:40], hashes[:30], largest_distance=256)
    distances = [pair[2] for pair in pairs]
    assert len(pairs) == 40 * 30 and distances == sorted(distances)
    for row, column, distance in pairs[::97]:
        assert distance == (hashes[row] ^ hashes[column]).sum()


def test_no_images_have_no_duplicates(hashes):
    empty = hash_files([])
    assert empty.shape == (0, 256)
    assert find_duplicates(hashes, empty) == find_duplicates(empty, hashes) == []


def test_grey_and_transparent_files_have_hashes(tmp_path):
    generator = np.random.default_rng(0)
    pixels = Image.fromarray(generator.integers(0, 256, (60, 80, 3)).astype(np.uint8))
    files = []
    for mode in ("RGB", "L", "RGBA", "P", "1"):
        files.append(tmp_path / f"{mode}.png")
        pixels.convert(mode).save(files[-1])
    assert hash_files(files).shape == (5, 256)
