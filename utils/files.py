"""Files that are there whole or not at all, and what the disk allows."""

import contextlib
import errno
import glob
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from utils.settings import CourseError, Settings

DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` with a temporary file beside `path`, sync it, and rename it to `path`.

    Whatever happens in between, a file of that name is the old one or the new one, never half of
    one. Raises CourseError where the disk is full or the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with explain_write_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            for other in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
                if time.time() - other.stat().st_mtime > 3600:  # its process was killed
                    other.unlink()
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):  # never there, gone already, or nobody's to delete
            temporary.unlink()


def write_json(path: Path, content: dict | list) -> None:
    """A small JSON file, all or nothing."""
    write_atomically(path, lambda file: file.write(json.dumps(content, indent=1).encode()))


def copy_file(source: Path, target: Path) -> None:
    """A copy of a file, all or nothing."""
    with source.open("rb") as original:
        write_atomically(target, lambda file: shutil.copyfileobj(original, file))


def read_json(path: Path) -> dict:
    """A small JSON object; empty if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_whole(path: Path) -> bool:
    """Whether a zip (an .npz, a checkpoint of PyTorch) is complete: every checksum is compared."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # of many kinds: zipfile parses what may be anything
        return False


def put_aside(path: Path, reason: str) -> Path:
    """Rename a file so that it is neither used nor lost at once: to `<name>.<reason>`."""
    with explain_write_errors(path.parent):
        return path.replace(path.with_name(f"{path.name}.{reason}"))


def find_places(settings: Settings, *parts: str) -> list[Path]:
    """Where a file may lie: in COURSE_SHARED, if it is set, then at home, where it is written."""
    return [place.joinpath(*parts) for place in (settings.shared, settings.home) if place]


@contextlib.contextmanager
def hold_lock(folder: Path, name: str) -> Iterator[None]:
    """Make `folder` and hold its lock for `name`; wait, and say so, while another process has it.

    A killed process's lock is free. Raises CourseError where the folder cannot be written to.
    """
    lock = FileLock(folder / f"{name}.lock")
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Another process is getting {name} already: waiting for it.", flush=True)
            lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        lock.release()


def format_bytes(number: int) -> str:
    """12 bytes, 3.4 MB, 1.8 GB: decimal units, as file managers and download pages show them."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def count(number: int, noun: str) -> str:
    """1 file, 2,000 files."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise CourseError if `folder`'s disk has fewer than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CourseError(
            f"The disk of {folder} has {format_bytes(free)} free and {purpose} needs about "
            f"{format_bytes(needed)}: make room, or set {_name_setting(folder)} to another disk."
        )


@contextlib.contextmanager
def explain_write_errors(folder: Path) -> Iterator[None]:
    """Raise CourseError, one sentence, for what goes wrong while `folder` is written to."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch.save hides a full disk behind an error of its own.
        fault = error.__context__ if type(error) is RuntimeError else error
        if not isinstance(fault, (OSError, NotImplementedError)):  # the latter: no locks there
            raise
        raise describe_write_error(fault, folder) from error


def describe_write_error(error: Exception, folder: Path) -> CourseError:
    """The sentence for a folder that could not be written to."""
    setting = _name_setting(folder)
    if getattr(error, "errno", None) in DISK_FULL:
        return CourseError(
            f"The disk of {folder} is full: make room and run this again (what has been downloaded "
            f"is kept), or set {setting} to a folder on another disk."
        )
    return CourseError(
        f"{folder} cannot be written to ({getattr(error, 'strerror', None) or error}): set "
        f"{setting} to a folder of your own (COURSE_SHARED may be one that you only read)."
    )


def _name_setting(folder: Path) -> str:
    return "TORCH_HOME" if folder.parts[-2:] == ("hub", "checkpoints") else "COURSE_HOME"
