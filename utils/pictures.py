"""Picture files decoded once, kept on disk as one memory-mapped array, handed out in batches."""

import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm.auto import tqdm

from utils.data import Split, fingerprint_files
from utils.disk import require_space
from utils.errors import CourseError
from utils.files import find_places, read_json, write_atomically, write_json
from utils.weights import Preprocessing

LARGEST_PICTURE = 100_000_000  # pixels; a decompression bomb has more
DECODED_AT_ONCE = 256  # pictures
# Of the kinds Pillow knows, those that pictures come in. Others do more than decode: for EPS it
# starts Ghostscript, which runs the program that the file is.
KINDS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")


def decode_picture(file, size: int, interpolation: str = "bilinear") -> np.ndarray:
    """One picture file as uint8 [size, size, 3]: shorter side to `size`, its middle square.

    `file` is a path or a file object. Any mode becomes RGB, transparency becomes white, of an
    animation the first frame is taken, and the rotation a camera noted (EXIF) is applied.
    Raises CourseError for what is no picture, is damaged, or has more than 100 million pixels.
    """
    name = getattr(file, "name", "The file") if hasattr(file, "read") else file
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata: of no matter here
            image = Image.open(file, formats=KINDS)
            if image.width * image.height > LARGEST_PICTURE:
                raise Image.DecompressionBombError
            image.draft("RGB", (2 * size, 2 * size))  # a JPEG is never decoded larger than useful
            image.load()
            return square(to_rgb(rotate(image)), size, interpolation)
    except Image.DecompressionBombError as error:
        raise CourseError(
            f"{name} has more than {LARGEST_PICTURE // 1_000_000} million pixels: make it smaller "
            "first."
        ) from error
    except UnidentifiedImageError as error:
        if is_empty(file):
            raise CourseError(f"{name} is empty: copy or save it again.") from error
        raise CourseError(
            f"{name} is no picture of a kind the course reads ({', '.join(KINDS)}): save it as one "
            "of these, or leave it out."
        ) from error
    except Exception as error:  # of many kinds: Pillow's decoders meet damage where they stand
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise CourseError(f"{name} cannot be read as a picture: {reason}.") from error


def is_empty(file) -> bool:
    """Whether a path or a file object holds no bytes, as after a copy that broke off."""
    return file.seek(0, os.SEEK_END) == 0 if hasattr(file, "seek") else os.path.getsize(file) == 0


def rotate(image: Image.Image) -> Image.Image:
    """The picture as its camera was held; one whose EXIF notes are damaged, as it lies."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # of many kinds, see above
        return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB, on white where the picture is transparent."""
    if image.mode.startswith("I"):  # 16 bits: Pillow would cut off at 255 instead of scaling
        image = Image.fromarray((np.asarray(image) // 257).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def square(image: Image.Image, size: int, interpolation: str) -> np.ndarray:
    """The shorter side scaled to `size`, then the middle square: uint8 [size, size, 3]."""
    scale = size / min(image.size)
    wide, high = (max(size, round(side * scale)) for side in image.size)
    image = image.resize((wide, high), Image.Resampling[interpolation.upper()], reducing_gap=3.0)
    left, top = (wide - size) // 2, (high - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)))


@dataclass(frozen=True)
class Pictures(TorchDataset):
    """A split, decoded. `array` is uint8 [N, size, size, 3], memory-mapped from a file."""

    split: Split  # without the files that could not be decoded
    array: np.ndarray
    key: str  # changes with the files and with the size they were decoded to
    unreadable: tuple[str, ...] = ()  # one sentence for each file that was left out

    def __len__(self) -> int:
        return len(self.split)

    def load(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch at once: uint8 [N, 3, size, size] (in channels-last memory order), int64 [N]."""
        images = torch.from_numpy(np.asarray(self.array[rows])).permute(0, 3, 1, 2)
        return images, torch.from_numpy(self.split.labels[rows])

    __getitems__ = load  # what a DataLoader calls for a whole batch

    def select(self, rows) -> "Pictures":
        """The pictures with these row numbers, in this order: a copy in memory."""
        rows = np.asarray(rows)
        digest = hashlib.sha256(rows.tobytes()).hexdigest()[:8]
        return Pictures(
            self.split.select(rows), np.asarray(self.array[rows]), f"{self.key}-{digest}"
        )


def decode_split(split: Split, preprocessing: Preprocessing, home: Path) -> Pictures:
    """Decode every picture of a split, once: the next call finds the array on disk.

    Files that cannot be decoded are named, counted and left out. The array is written to a
    temporary name and renamed when it is complete: an interrupted run leaves nothing half-done.
    Raises CourseError where no picture of a class can be decoded, or the disk is full.
    """
    size, interpolation = preprocessing.resize, preprocessing.interpolation
    key = f"{fingerprint_files(split.paths, split.labels)}-{size}-{interpolation}"
    for array_file in find_places(home, "cache", "pictures", f"{split.name}-{key}.uint8"):
        unreadable = read_notes(array_file, len(split), size)
        if unreadable is not None:
            break
    else:
        unreadable = write_array(split, size, interpolation, array_file)
        write_json(name_notes(array_file), {"unreadable": unreadable})
    if unreadable:
        readable = np.setdiff1d(np.arange(len(split)), list(unreadable))
        missing = set(range(len(split.classes))) - set(split.labels[readable])
        if missing:
            names = ", ".join(split.classes[label] for label in sorted(missing))
            raise CourseError(
                f"No {split.name} picture of {names} can be read: put readable pictures there."
            )
        count = f"{len(unreadable)} of {len(split)} {split.name} files"
        print(f"{count} cannot be read and are left out:")
        print("\n".join(f"  {reason}" for reason in unreadable.values()))
        split = split.select(readable)
    array = np.memmap(array_file, np.uint8, "r").reshape(len(split), size, size, 3)
    return Pictures(split, array, key, tuple(unreadable.values()))


def write_array(split: Split, size: int, interpolation: str, path: Path) -> dict[int, str]:
    """Decode with one thread a core, write the readable pictures one after the other, and return
    why each of the others was left out, by row."""

    def decode(row: int) -> np.ndarray | str:
        try:
            return decode_picture(split.paths[row], size, interpolation)
        except CourseError as error:
            return str(error)

    def write(file) -> None:
        needed = len(split) * size * size * 3
        require_space(path.parent, needed, f"keeping the decoded {split.name} pictures")
        rows = range(len(split))
        with (
            ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
            tqdm(total=len(split), desc=f"decoding {split.name}", leave=False) as progress,
        ):
            # A few at a time: a disk slower than the processors would fill the memory, and an
            # interrupt would wait for all.
            for first in rows[::DECODED_AT_ONCE]:
                part = rows[first : first + DECODED_AT_ONCE]
                for row, result in zip(part, pool.map(decode, part), strict=True):
                    if isinstance(result, str):
                        unreadable[row] = result
                    else:
                        file.write(result.tobytes())
                    progress.update()

    unreadable: dict[int, str] = {}
    write_atomically(path, write)
    return unreadable


def name_notes(array_file: Path) -> Path:
    """The file beside a decoded array that says what was left out; written after the array."""
    return array_file.with_suffix(".json")


def read_notes(array_file: Path, pictures: int, size: int) -> dict[int, str] | None:
    """Why pictures of a decoded array were left out, by row; None if it is missing or damaged."""
    try:
        notes = read_json(name_notes(array_file))["unreadable"]
        unreadable = {int(row): str(reason) for row, reason in notes.items()}
        complete = (pictures - len(unreadable)) * size * size * 3
        return unreadable if array_file.stat().st_size == complete else None
    except (OSError, KeyError, ValueError, AttributeError):
        return None


def make_loader(pictures: Pictures, batch_size: int = 32, shuffle: bool = False) -> DataLoader:
    """Batches (images uint8 [N, 3, size, size], labels int64 [N]) of decoded pictures.

    No worker processes: reading a batch out of memory is quicker than sending it between processes.
    To be shuffled, a dataset that has a `sampler` (see utils.distributed) brings its own order.
    """
    sampler = getattr(pictures, "sampler", None) if shuffle else None
    shuffle = shuffle and sampler is None
    return DataLoader(pictures, batch_size, shuffle, sampler, collate_fn=keep_batch)


def keep_batch(batch):
    return batch  # `__getitems__` has made one already
