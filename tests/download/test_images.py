"""Image files of every kind, and damaged ones: upright RGB, or one sentence."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from utils.download.images import needs_copy, read_image
from utils.settings import CourseError

RED, WHITE = (255, 0, 0), (255, 255, 255)
RAMP = np.linspace(0, 255, 40 * 30, dtype=np.float32).reshape(30, 40)


def save(image: Image.Image, kind: str = "PNG", **options) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def find_mean(file) -> float:
    return float(np.asarray(read_image(file)).mean())


JPEG = save(Image.fromarray(np.stack([RAMP] * 3, 2).astype(np.uint8)), "JPEG").getvalue()


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("RGB", RED, "PNG", RED),
        ("L", 100, "PNG", (100, 100, 100)),
        ("1", 1, "PNG", WHITE),
        ("RGBA", (255, 0, 0, 255), "PNG", RED),
        ("RGBA", (255, 0, 0, 0), "PNG", WHITE),
        ("LA", (50, 255), "PNG", (50, 50, 50)),
        ("LA", (50, 0), "PNG", WHITE),
        ("CMYK", (0, 255, 255, 0), "JPEG", RED),
        ("CMYK", (0, 255, 255, 0), "TIFF", RED),
        ("YCbCr", (76, 85, 255), "JPEG", RED),
        ("LAB", (255, 128, 128), "TIFF", WHITE),
        ("P", 0, "GIF", (0, 0, 0)),
    ],
)
def test_fault_25_any_mode_becomes_rgb(mode: str, colour, kind: str, expected) -> None:
    image = read_image(save(Image.new(mode, (30, 20), colour), kind))
    assert image.mode == "RGB" and image.size == (30, 20)
    assert np.abs(np.asarray(image).astype(int) - expected).max() <= 8


def test_fault_25_palette_and_animation() -> None:
    image = Image.new("P", (30, 30), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert find_mean(save(image, transparency=0)) == 255
    red, blue = (Image.new("RGB", (30, 30), colour) for colour in ("red", "blue"))
    for kind in ("GIF", "WEBP", "PNG"):
        file = save(red, kind, save_all=True, append_images=[blue])
        assert np.abs(np.asarray(read_image(file))[0, 0].astype(int) - RED).max() < 5


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (RAMP / 255, "TIFF"),
        (RAMP, "TIFF"),
        (RAMP / 255 * 1.004, "TIFF"),  # sharpened
        (RAMP / 127.5 - 1, "TIFF"),  # as networks like it
        (RAMP / 25.5, "TIFF"),  # of no range that anybody knows
        (np.where(RAMP < 1, np.nan, RAMP), "TIFF"),
        ((RAMP * 4).astype(np.uint16), "PNG"),
        ((RAMP * 16).astype(np.uint16), "TIFF"),
        ((RAMP * 16).astype(np.uint16), "PNG"),
        ((RAMP * 64).astype(np.uint16), "PNG"),
        ((RAMP * 257).astype(np.uint16), "PNG"),
        (RAMP.astype(np.int32), "TIFF"),
        ((RAMP * 257).astype(np.int32), "TIFF"),
        ((RAMP * 1e6).astype(np.int32), "TIFF"),
    ],
)
def test_more_than_8_bits_are_scaled_by_their_real_range(values: np.ndarray, kind: str) -> None:
    assert abs(find_mean(save(Image.fromarray(values), kind)) - RAMP.mean()) < 2


def test_16_bits_keep_their_brightness() -> None:
    grey = Image.fromarray(np.full((30, 30), 32_768, np.uint16))
    assert abs(find_mean(save(grey)) - 128) < 1
    assert find_mean(save(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF")) == 0


def make_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "maker"
    return exif


def test_fault_26_camera_rotation_is_applied() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20] = RED  # the upper half
    file = save(Image.fromarray(pixels), "JPEG", exif=make_exif(6))
    red = np.asarray(read_image(file))[:, :, 0] > 128  # turned by 90°: it is on the right
    assert red.shape == (60, 40) and red[:, 22:].all() and not red[:, :18].any()


def test_fault_26_damaged_notes_of_a_camera_do_not_lose_the_image() -> None:
    content = save(Image.new("RGB", (40, 30)), "JPEG", exif=make_exif(6)).getvalue()
    place = content.index(b"\x01\x0f\x00\x02")  # the entry of the camera's maker
    for tag in (0x00, 0x01, 0x1A, 0x22):  # which text is not allowed in
        changed = content[: place + 1] + bytes([tag]) + content[place + 2 :]
        assert read_image(io.BytesIO(changed)).mode == "RGB", tag


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1, 1), (1, 1)), ((3000, 1), (8, 1)), ((2, 40_000), (2, 16)), ((320, 40), (320, 40))],
)
def test_of_an_extreme_shape_the_middle_is_taken(size, expected) -> None:
    image = Image.new("RGB", size, "white")
    if max(size) > 1000:
        image.paste("red", (0, 0, *(side // 2 - 8 if side > 2 else side for side in size)))
    found = read_image(save(image))
    assert found.size == expected and np.asarray(found).min() == 255


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (JPEG[: len(JPEG) // 2], "cannot be read as an image"),
        (JPEG[:20], "cannot be read|no image"),
        (b"", "is empty"),
        (bytes(100), "is empty: .*cloud drive"),
        (b"not an image\n", "is no image of a kind"),
        (JPEG[20:], "is no image of a kind"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500), "HEIC, which Pillow cannot.*JPEG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(500), "HEIC, which Pillow cannot.*JPEG"),
    ],
)
def test_fault_24_what_is_no_image_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    for look in (read_image, needs_copy):
        with pytest.raises(CourseError, match=f"broken.jpg .*({reason})"):
            look(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for name, reason in (("gone.png", "is missing"), ("", "cannot be read")):
        with pytest.raises(CourseError, match=reason):
            read_image(tmp_path / name)


@pytest.mark.parametrize("side", [10_001, 40_000])
def test_fault_34_too_many_pixels_are_refused_by_the_header(side: int, tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + data)
    with pytest.raises(CourseError, match="bomb.png .*pixels"):
        read_image(tmp_path / "bomb.png")


def test_fault_34_programs_that_pass_for_images_are_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EPS is a language: Pillow would hand the file to Ghostscript."""
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", pytest.fail)
    Image.new("RGB", (30, 30)).save(tmp_path / "photo.jpg", "EPS")
    with pytest.raises(CourseError, match="photo.jpg is no image of a kind"):
        read_image(tmp_path / "photo.jpg")


def test_fault_34_upload_without_a_name() -> None:
    upload = io.BytesIO(b"some text, sent by mistake")
    with pytest.raises(CourseError, match="^The file is no image of a kind the course reads"):
        read_image(upload)
    upload.name = "letter.txt"
    with pytest.raises(CourseError, match="^letter.txt is no image"):
        read_image(upload)


SAMPLES = {
    kind: save(Image.fromarray(RAMP.astype(np.uint8)), kind, exif=make_exif(6)).getvalue()
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
}


@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), max_size=8),
    st.integers(0, 40),
)
def test_fault_24_mutated_images_raise_course_errors_only(kind: str, changes, cut: int) -> None:
    content = bytearray(SAMPLES[kind])
    for place, value in changes:
        content[place % len(content)] = value
    file = io.BytesIO(bytes(content[: len(content) - cut]))
    try:
        assert read_image(file).mode == "RGB"
    except CourseError as error:
        assert "\n" not in str(error) and str(error).endswith(".")


@pytest.mark.parametrize(
    ("image", "kind", "options", "expected"),
    [
        (Image.new("RGB", (30, 20)), "JPEG", {}, False),
        (Image.new("L", (30, 20)), "PNG", {}, False),
        (Image.new("P", (30, 20)), "PNG", {}, False),
        (Image.new("RGB", (30, 20)), "WEBP", {}, False),
        (Image.new("RGB", (30, 20)), "JPEG", {"exif": make_exif(1)}, False),
        (Image.new("RGB", (30, 20)), "JPEG", {"exif": make_exif(6)}, True),
        (Image.new("CMYK", (30, 20)), "JPEG", {}, True),
        (Image.new("RGBA", (30, 20)), "PNG", {}, True),
        (Image.new("P", (30, 20)), "PNG", {"transparency": 0}, True),
        (Image.new("P", (30, 20)), "GIF", {}, True),
        (Image.new("I;16", (30, 20)), "PNG", {}, True),
        (Image.new("RGB", (900, 2)), "PNG", {}, True),
    ],
)
def test_only_what_imagefolder_would_misread_is_copied(
    image: Image.Image, kind: str, options: dict, expected: bool, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(save(image, kind, **options).getvalue())
    assert needs_copy(tmp_path / "a") is expected
    for name in ("copy.jpg", "copy.png"):
        read_image(tmp_path / "a").save(tmp_path / name, quality=95)
        assert not needs_copy(tmp_path / name)
        difference = np.asarray(read_image(tmp_path / name), int) - read_image(tmp_path / "a")
        assert np.abs(difference).max() <= 2


@pytest.mark.parametrize(("size", "expected"), [((1025, 1024), False), ((1026, 1025), True)])
def test_what_imagefolder_would_read_slowly_is_copied_too(size, expected: bool, tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(save(Image.new("RGB", size), "JPEG").getvalue())
    assert needs_copy(tmp_path / "a.jpg") is expected
