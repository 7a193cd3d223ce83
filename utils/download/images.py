"""One image file of any kind as upright RGB, and whether plain ImageFolder would show the same."""

import contextlib
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from utils.settings import CourseError

LARGEST_IMAGE = 100_000_000  # pixels; a decompression bomb has more
SHORTER_SIDE = 1024  # pixels; of a larger image a smaller copy is decoded in each epoch
LONGEST_SHAPE = 8  # times its shorter side: of a longer one, a mere line, the middle is taken
# Of the kinds Pillow knows, those that images come in. Others do more than decode: for EPS it
# starts Ghostscript, which runs the program that the file is.
KINDS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000", "HEIF")
KNOWN = ", ".join(KINDS[:6])
DEPTHS = (255, 1023, 4095, 16_383, 65_535)  # the largest value of 8, 10, 12, 14 and 16 bits
TURNS = dict(zip(range(2, 9), map(Image.Transpose, (0, 3, 1, 5, 4, 6, 2)), strict=True))  # of EXIF
PHONES = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd metadata: of no matter here


def read_image(file: str | Path | BinaryIO) -> Image.Image:
    """One image file, a path or a file object, as RGB and upright.

    Transparency becomes white, of an animation the first frame is taken, more than 8 bits are
    scaled by their real range, and of an extreme shape the middle is cut out.
    Raises CourseError for what is no image, is damaged, or has more than 100 million pixels.
    """

    def make(image: Image.Image) -> Image.Image:
        turn = _find_turn(image)
        return _to_rgb(_cut(image if turn is None else image.transpose(turn)))

    return _decode(file, make)


def needs_copy(file: Path) -> bool:
    """Whether plain ImageFolder would misread this file or be slow; raises as `read_image`."""

    def check(image: Image.Image) -> bool:
        plain = image.mode in ("1", "L", "RGB", "P") and "transparency" not in image.info
        animated = getattr(image, "is_animated", False) and image.format != "MPO"
        strange = image.format in ("GIF", "AVIF", "JPEG2000", "HEIF") or animated
        upright = _find_turn(image) is None
        large = min(image.size) > SHORTER_SIDE
        image.draft("RGB", (64, 64))  # a JPEG is read to its end in a quarter of the time
        image.load()
        return strange or large or not (plain and upright and _cut(image) is image)

    return _decode(file, check)


def _decode(file, use):
    name = getattr(file, "name", "The file") if hasattr(file, "read") else file
    try:
        with contextlib.ExitStack() as stack:
            opened = file if hasattr(file, "read") else stack.enter_context(open(file, "rb"))
            Image.init()
            kinds = [kind for kind in KINDS if kind in Image.OPEN]
            try:
                image = stack.enter_context(Image.open(opened, formats=kinds))
            except UnidentifiedImageError:
                opened.seek(0)
                raise CourseError(f"{name} {_describe(opened.read(16))}.") from None
            if image.width * image.height > LARGEST_IMAGE:
                raise Image.DecompressionBombError
            return use(image)
    except CourseError:
        raise
    except Image.DecompressionBombError as error:
        raise CourseError(f"{name} has over {LARGEST_IMAGE:,} pixels: make it smaller.") from error
    except FileNotFoundError as error:
        raise CourseError(f"{name} is missing, or a link that leads nowhere.") from error
    except Exception as error:  # of many kinds: Pillow's decoders meet damage where they stand
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = " ".join(reason.split()).rstrip(".")
        raise CourseError(f"{name} cannot be read as an image: {reason}.") from error


def _describe(start: bytes) -> str:
    """What a file is that Pillow does not know, as the end of a sentence."""
    if not start.strip(b"\0"):
        return "is empty: copy or save it again, or let the cloud drive download it first"
    if start[4:8] == b"ftyp" and start[8:12] in PHONES:
        kind = "AVIF" if start[8:11] == b"avi" else "HEIC"
        return f"is a photograph of the kind {kind}, which Pillow cannot read: save it as JPEG"
    return f"is no image of a kind the course reads ({KNOWN}): save it as one, or leave it out"


def _find_turn(image: Image.Image) -> Image.Transpose | None:
    """How to set upright what its camera noted (in EXIF); damaged notes say nothing."""
    try:
        return TURNS.get(image.getexif().get(0x0112, 1))
    except Exception:  # of many kinds, see above
        return None


def _cut(image: Image.Image) -> Image.Image:
    wide, high = image.size
    longest = LONGEST_SHAPE * min(wide, high)
    if max(wide, high) <= longest:
        return image
    left, top = max(0, (wide - longest) // 2), max(0, (high - longest) // 2)
    return image.crop((left, top, left + min(wide, longest), top + min(high, longest)))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode[0] in "IF":  # 16 or 32 bits, floats: Pillow would cut off at 255
        image = _scale(image)
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("RGBA", "RGBa", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _scale(image: Image.Image) -> Image.Image:
    """Values of any range as 8 bits: 12 bits in a 16-bit file are 12 bits, and 0…1 are floats."""
    values = np.array(image, np.float32)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if low < 0:
        values, high = values - low, high - low
        top = high
    elif image.mode == "F" and high <= 2:  # a little over 1 after sharpening
        top = 1
    else:
        top = next((depth for depth in DEPTHS if high <= 1.01 * depth), high)
        top = top if high > top / 5 else high  # of no such depth: stretched
    return Image.fromarray((values * (255 / (top or 1))).clip(0, 255).round().astype(np.uint8))
