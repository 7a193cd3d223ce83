"""Files that are there whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from utils.disk import describe_write_error


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` with a temporary file beside `path`, sync it, and rename it to `path`.

    Whatever happens in between (an interrupt, a full disk, a killed process), a file of that name
    is either the old one or the new one, never half of one.
    Raises CourseError where the disk is full or the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise describe_write_error(error, path.parent) from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)
