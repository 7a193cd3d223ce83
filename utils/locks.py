"""One process at a time: two notebooks do not download or unpack the same thing."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from utils.disk import describe_write_error


@contextlib.contextmanager
def hold_lock(folder: Path, name: str) -> Iterator[None]:
    """Make `folder` and hold its lock for `name`; wait, and say so, while another process has it.

    A killed process's lock is free. Raises CourseError where the folder cannot be written to.
    """
    lock = FileLock(folder / f"{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Another process is getting {name} already: waiting for it.", flush=True)
            lock.acquire(poll_interval=0.2)
    except NotImplementedError as error:  # a network disk that knows no locks
        raise describe_write_error(OSError(str(error)), folder) from error
    except OSError as error:
        raise describe_write_error(error, folder) from error
    try:
        yield
    finally:
        lock.release()
