"""Files that are there whole or not at all, and the folders they are looked for in."""

import contextlib
import glob
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import psutil

from utils.disk import describe_write_error
from utils.settings import find_shared


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` with a temporary file beside `path`, sync it, and rename it to `path`.

    Whatever happens in between (an interrupt, a full disk, a killed process), a file of that name
    is either the old one or the new one, never half of one.
    Raises CourseError where the disk is full or the folder cannot be written to.
    """
    prefix = f".{path.name}.{platform.node()}."
    temporary = path.with_name(f"{prefix}{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, prefix)
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise describe_write_error(error, path.parent) from error
    finally:
        with contextlib.suppress(OSError):  # never there, gone already, or nobody's to delete
            temporary.unlink()


def remove_leftovers(folder: Path, prefix: str) -> None:
    """Delete the temporary files of killed processes: `<prefix><process number>.tmp`.

    A killed decoding leaves gigabytes. The computer's name is part of the prefix, since only its
    own processes can be asked for.
    """
    for leftover in folder.glob(f"{glob.escape(prefix)}*.tmp"):
        writer = leftover.name[len(prefix) : -len(".tmp")]
        if not (writer.isdecimal() and psutil.pid_exists(int(writer))):
            with contextlib.suppress(OSError):
                leftover.unlink()


def write_json(path: Path, content: dict | list) -> None:
    """A small JSON file, all or nothing."""
    write_atomically(path, lambda file: file.write(json.dumps(content, indent=1).encode()))


def read_json(path: Path) -> dict:
    """A small JSON object; empty if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def put_aside(path: Path, reason: str) -> Path:
    """Rename a file so that it is neither used nor lost: `<name>.damaged`, or `<name>.other`."""
    aside = path.with_name(f"{path.name}.{reason}")
    try:
        return path.replace(aside)
    except OSError as error:
        raise describe_write_error(error, path.parent) from error


def find_places(home: Path, *parts: str) -> list[Path]:
    """Where a file of the course may lie: in COURSE_SHARED, if that is set, then in `home`.

    All of them may be read from; the last one is where it is written.
    """
    shared = find_shared()
    return [folder.joinpath(*parts) for folder in (shared, home) if folder is not None]
