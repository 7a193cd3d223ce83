"""What the disk allows: room, permission, and the sentence for when it does not."""

import errno
import hashlib
import shutil
from pathlib import Path

from tqdm.auto import tqdm

from utils.errors import CourseError

BLOCK = 1 << 20  # bytes read or written at a time
DISK_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}


def format_bytes(number: int) -> str:
    """12 bytes, 3.4 MB, 1.8 GB: decimal units, as file managers and download pages show them."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise CourseError if `folder`'s disk has fewer than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CourseError(
            f"The disk of {folder} has {format_bytes(free)} free and {purpose} needs about "
            f"{format_bytes(needed)}: make room, or set {name_setting(folder)} to a folder on "
            "another disk."
        )


def describe_write_error(error: OSError, folder: Path) -> CourseError:
    """The sentence for a folder that could not be written to."""
    setting = name_setting(folder)
    if error.errno in DISK_FULL:
        return CourseError(
            f"The disk of {folder} is full: make room and run this again (what has been downloaded "
            f"is kept), or set {setting} to a folder on another disk."
        )
    reason = error.strerror or str(error)
    others = ", and COURSE_SHARED to one that you may only read" if setting[0] == "C" else ""
    return CourseError(
        f"{folder} cannot be written to ({reason}): set {setting} to a folder of your own{others}."
    )


def name_setting(folder: Path) -> str:
    """The variable that moves a folder elsewhere: PyTorch keeps its weights where it likes."""
    return "TORCH_HOME" if folder.parts[-2:] == ("hub", "checkpoints") else "COURSE_HOME"


def hash_file(path: Path) -> str:
    """SHA-256 of a file in hex digits, with a progress bar: a large archive takes seconds."""
    digest = hashlib.sha256()
    with path.open("rb") as file, make_bar(path.stat().st_size, f"checking {path.name}") as bar:
        while block := file.read(BLOCK):
            digest.update(block)
            bar.update(len(block))
    return digest.hexdigest()


def make_bar(total: int | None, description: str) -> tqdm:
    """A progress bar in bytes that leaves no line behind."""
    return tqdm(
        total=total, desc=description, unit="B", unit_scale=True, unit_divisor=1000, leave=False
    )
