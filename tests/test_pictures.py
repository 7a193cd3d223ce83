"""Picture files of every kind, damaged ones, and the array they are kept in."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from utils import pictures as pictures_module
from utils.data import Split
from utils.errors import CourseError
from utils.pictures import decode_picture, decode_split, make_loader
from utils.weights import Preprocessing

SMALL = Preprocessing(24, 16, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
RED = (255, 0, 0)


def save(image: Image.Image, **options) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, **options)
    file.seek(0)
    return file


def make_jpeg() -> bytes:
    ramp = np.linspace(0, 255, 40 * 30 * 3).astype(np.uint8).reshape(30, 40, 3)
    return save(Image.fromarray(ramp), format="JPEG").getvalue()


JPEG = make_jpeg()


def make_png_header(width: int, height: int) -> bytes:
    """A PNG that says it is large, in less than a hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data)
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("RGB", RED, "PNG", RED),
        ("L", 100, "PNG", (100, 100, 100)),
        ("1", 1, "PNG", (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), "PNG", RED),
        ("RGBA", (255, 0, 0, 0), "PNG", (255, 255, 255)),
        ("RGBA", (0, 0, 0, 0), "PNG", (255, 255, 255)),
        ("LA", (50, 255), "PNG", (50, 50, 50)),
        ("LA", (50, 0), "PNG", (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), "JPEG", RED),
        ("CMYK", (0, 255, 255, 0), "TIFF", RED),
        ("YCbCr", (76, 85, 255), "JPEG", RED),
    ],
)
def test_fault_25_any_mode_becomes_rgb(mode, colour, kind, expected):
    picture = decode_picture(save(Image.new(mode, (30, 30), colour), format=kind), 24)
    assert picture.shape == (24, 24, 3) and picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - expected).max() <= 8


def test_fault_25_palette_and_animation():
    red, blue = (Image.new("RGB", (30, 30), colour) for colour in ("red", "blue"))
    palette = decode_picture(save(red.convert("P"), format="PNG"), 24)
    assert (palette == RED).all()
    gif = save(red, format="GIF", save_all=True, append_images=[blue])
    assert (decode_picture(gif, 24) == RED).all()  # the first frame


def test_fault_25_transparent_palette_becomes_white():
    image = Image.new("P", (30, 30), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert (decode_picture(save(image, format="PNG", transparency=0), 24) == 255).all()


def test_fault_25_sixteen_bits_keep_their_brightness():
    """Half of 65,535 is a middle grey, neither white nor black."""
    image = Image.fromarray(np.full((30, 30), 32_768, np.uint16))
    picture = decode_picture(save(image, format="PNG"), 24)
    assert 120 <= picture.min() and picture.max() <= 136


def test_fault_26_camera_rotation_is_applied():
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:20] = RED  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise: the upper half is on the right
    picture = decode_picture(save(Image.fromarray(pixels), format="JPEG", exif=exif), 24)
    red = picture[:, :, 0] > 128
    assert red[:, 14:].all() and not red[:, :10].any()


@pytest.mark.parametrize("shape", [(20, 100), (100, 20), (24, 24), (1, 300), (7, 5)])
def test_middle_square_of_any_shape(shape):
    pixels = np.zeros((*shape, 3), np.uint8)
    high, wide = shape
    if max(shape) >= 5 * min(shape):  # red ends that the middle square does not reach
        end = int(0.3 * max(shape))
        if wide > high:
            pixels[:, :end] = pixels[:, -end:] = RED
        else:
            pixels[:end] = pixels[-end:] = RED
    picture = decode_picture(save(Image.fromarray(pixels), format="PNG"), 24)
    assert picture.shape == (24, 24, 3) and picture.max() < 8


@pytest.mark.parametrize(
    "content",
    [JPEG[: len(JPEG) // 2], JPEG[:20], b"", b"not a picture\n", bytes(100), JPEG[20:]],
    ids=["half a JPEG", "header only", "no bytes", "text", "zeros", "no header"],
)
def test_fault_24_what_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(CourseError, match="broken.jpg"):
        decode_picture(path, 24)


@pytest.mark.parametrize("side", [10_001, 40_000])
def test_fault_34_too_many_pixels_are_refused_by_the_header(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(make_png_header(side, side))
    with pytest.raises(CourseError, match="bomb.png.*pixels"):
        decode_picture(path, 24)


def test_missing_file(tmp_path):
    with pytest.raises(CourseError, match="gone.png"):
        decode_picture(tmp_path / "gone.png", 24)


@given(st.binary(max_size=200))
def test_fault_34_random_bytes_raise_course_errors_only(content):
    for start in (b"", JPEG[:30], b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM"):
        assert_picture_or_course_error(start + content)


def make_samples() -> dict[str, bytes]:
    """A small picture in each kind of file, with the notes of a camera where it has some."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    kinds = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
    return {kind: save(image, format=kind, exif=exif).getvalue() for kind in kinds}


SAMPLES = make_samples()


@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), max_size=8),
    st.integers(0, 40),
)
def test_fault_24_mutated_pictures_raise_course_errors_only(kind, changes, cut):
    content = bytearray(SAMPLES[kind])
    for place, value in changes:
        content[place % len(content)] = value
    assert_picture_or_course_error(bytes(content[: len(content) - cut]))


def test_fault_26_damaged_notes_of_a_camera_do_not_lose_the_picture():
    content = SAMPLES["JPEG"]
    place = content.index(b"\x01\x0f\x00\x02")  # the entry of the camera's maker
    for tag in (0x00, 0x01, 0x1A, 0x22):  # which text is not allowed in
        changed = content[: place + 1] + bytes([tag]) + content[place + 2 :]
        assert decode_picture(io.BytesIO(changed), 24).shape == (24, 24, 3), tag


def test_fault_34_programs_that_pass_for_pictures_are_not_started(tmp_path, monkeypatch):
    """EPS is a language: Pillow would hand the file to Ghostscript."""
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", pytest.fail)
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (30, 30)).save(path, "EPS")
    with pytest.raises(CourseError, match="photo.jpg is no picture of a kind"):
        decode_picture(path, 24)


def test_fault_34_upload_without_a_name(monkeypatch):
    upload = io.BytesIO(b"some text, sent by mistake")
    with pytest.raises(CourseError, match="^The file is no picture of a kind the course reads"):
        decode_picture(upload, 24)
    upload.name = "letter.txt"
    with pytest.raises(CourseError, match="^letter.txt is no picture"):
        decode_picture(upload, 24)


def test_an_empty_file_is_called_empty(tmp_path):
    path = tmp_path / "photo.jpg"
    path.touch()
    with pytest.raises(CourseError, match="photo.jpg is empty: copy or save it again"):
        decode_picture(path, 24)
    with pytest.raises(CourseError, match="^The file is empty"):
        decode_picture(io.BytesIO(), 24)


def assert_picture_or_course_error(content: bytes) -> None:
    try:
        assert decode_picture(io.BytesIO(content), 24).shape == (24, 24, 3)
    except CourseError:
        pass


def make_split(folder: Path, broken: tuple[int, ...] = (), count: int = 6) -> Split:
    """Grey pictures, each a little brighter than the one before; even ones are cats."""
    folder.mkdir(exist_ok=True)
    paths = []
    for row in range(count):
        path = folder / f"{row}.png"
        Image.new("RGB", (30, 40), (20 * row,) * 3).save(path)
        if row in broken:
            path.write_bytes(path.read_bytes()[:30])
        paths.append(path)
    return Split("train", tuple(paths), np.arange(count) % 2, ("cats", "dogs"))


def test_split_is_decoded_in_order(tmp_path):
    pictures = decode_split(make_split(tmp_path / "in"), SMALL, tmp_path)
    assert pictures.array.shape == (6, 24, 24, 3)
    assert pictures.array[:, 5, 5, 0].tolist() == [0, 20, 40, 60, 80, 100]
    assert pictures.unreadable == ()


def test_fault_24_unreadable_files_are_left_out_and_counted(tmp_path, capsys):
    split = make_split(tmp_path / "in", broken=(1, 4))
    for _ in range(2):  # decoded, and found again
        pictures = decode_split(split, SMALL, tmp_path)
        assert len(pictures) == len(pictures.array) == 4
        assert [path.name for path in pictures.split.paths] == ["0.png", "2.png", "3.png", "5.png"]
        assert pictures.split.labels.tolist() == [0, 0, 1, 1]
        assert pictures.array[:, 0, 0, 0].tolist() == [0, 40, 60, 100]
        printed = capsys.readouterr().out
        assert "2 of 6 train files" in printed
        assert "1.png" in printed and "4.png" in printed
        assert len(pictures.unreadable) == 2


@pytest.mark.parametrize("broken", [(0, 2, 4), (0, 1, 2, 3, 4, 5)])
def test_fault_27_class_without_readable_picture(tmp_path, broken):
    split = make_split(tmp_path / "in", broken=broken)
    for _ in range(2):
        with pytest.raises(CourseError, match="cats"):
            decode_split(split, SMALL, tmp_path)


def test_array_is_found_again(tmp_path, monkeypatch):
    split = make_split(tmp_path / "in")
    first = decode_split(split, SMALL, tmp_path)
    dates = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")}

    def refuse(*arguments):
        raise AssertionError("decoded again")

    monkeypatch.setattr(pictures_module, "decode_picture", refuse)
    second = decode_split(split, SMALL, tmp_path)
    assert second.key == first.key
    assert np.array_equal(first.array, second.array)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")} == dates


def test_interrupted_decoding_leaves_no_file(tmp_path, monkeypatch):
    split = make_split(tmp_path / "in")
    real = decode_picture

    def interrupt(path, *arguments):
        if Path(path).name == "4.png":
            raise KeyboardInterrupt
        return real(path, *arguments)

    monkeypatch.setattr(pictures_module, "decode_picture", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decode_split(split, SMALL, tmp_path)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    monkeypatch.setattr(pictures_module, "decode_picture", real)
    assert len(decode_split(split, SMALL, tmp_path)) == 6


def test_changed_file_has_another_key(tmp_path):
    split = make_split(tmp_path / "in")
    first = decode_split(split, SMALL, tmp_path)
    Image.new("RGB", (30, 40), "white").save(split.paths[2])
    os.utime(split.paths[2], ns=(1, 1))
    second = decode_split(split, SMALL, tmp_path)
    assert second.key != first.key
    assert second.array[2].min() == 255 and first.array[2].max() == 40


def test_other_size_or_interpolation_has_another_key(tmp_path):
    split = make_split(tmp_path / "in")
    half = (0.5, 0.5, 0.5)
    others = [SMALL, Preprocessing(28, 16, "bilinear", half, half)]
    others.append(Preprocessing(24, 16, "bicubic", half, half))
    assert len({decode_split(split, other, tmp_path).key for other in others}) == 3


def test_batches_and_selection(tmp_path):
    pictures = decode_split(make_split(tmp_path / "in"), SMALL, tmp_path)
    batches = list(make_loader(pictures, 4))
    assert [tuple(images.shape) for images, _ in batches] == [(4, 3, 24, 24), (2, 3, 24, 24)]
    assert batches[0][0].dtype == torch.uint8
    assert torch.cat([labels for _, labels in batches]).tolist() == [0, 1, 0, 1, 0, 1]
    chosen = pictures.select([5, 0])
    assert chosen.array[:, 0, 0, 0].tolist() == [100, 0]
    assert chosen.split.labels.tolist() == [1, 0]
    assert chosen.key not in (pictures.key, pictures.select([0, 5]).key)
