"""Gets a dataset: downloaded, checked and unpacked once, then found again without a network.

`python -m utils.download` does it from the command line: prepare a classroom the day before.
"""

import argparse
import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from utils.archives import BadArchiveError
from utils.disk import (
    describe_write_error,
    format_bytes,
    hash_file,
    read_json,
    require_space,
    write_json,
)
from utils.errors import CourseError
from utils.layout import DatasetFolders, count_classes, find_dataset
from utils.settings import load_settings
from utils.sources import Source, find_source
from utils.transfer import MirrorError, show_address, state_path, transfer
from utils.unpack import read_marker, unpack_archive
from utils.weights import fetch_weights

MEBIBYTE = 1 << 20


def fetch_dataset(source: Source, home: Path) -> DatasetFolders:
    """The folders of a dataset, downloaded and unpacked below `home` if they are not there yet.

    A folder is used where it lies and never written to; a local archive is unpacked from where it
    lies. A URL goes to `home/downloads/<file name>.part`, is checked, renamed, unpacked into
    `home/datasets/<name>`, and then deleted: the pictures are what is needed. An archive that
    somebody put at `home/downloads/<file name>` is checked, used and kept, so that an instructor's
    folder of archives, served to a class, stays whole.
    Raises CourseError where the dataset cannot be had; running again goes on where it stopped.
    """
    place = Path(source.addresses[0])
    if not source.is_remote and place.is_dir():
        try:
            return find_dataset(source.name, place, f"The folder {place}")
        except OSError as error:
            raise CourseError(
                f"The folder {error.filename or place} cannot be read ({error.strerror}): allow "
                "yourself to read it, or set COURSE_DATA to another one."
            ) from error
    target = home / "datasets" / source.name
    identity = _identify(source)
    # A dataset that is there needs no lock: it came by one rename, and `home` may be read-only.
    if ready := read_marker(target, source.name, identity):
        return ready
    downloads = home / "downloads"
    with _lock(downloads, source.name):
        if ready := read_marker(target, source.name, identity):  # another process got it meanwhile
            return ready
        archive = _fetch_archive(source, downloads)
        try:
            folders = unpack_archive(archive, target, identity, source.counts)
        except BadArchiveError as error:
            if source.is_remote and _remove_if_ours(archive):
                raise CourseError(
                    f"{str(error).rstrip('.')}; the download has been deleted, and running this "
                    "again downloads it anew."
                ) from error
            raise
        if source.is_remote:
            _remove_if_ours(archive)
            part = _part_path(archive)
            for leftover in (part, state_path(part)):  # of a download that was given up
                leftover.unlink(missing_ok=True)
        return folders


def _identify(source: Source) -> dict:
    """What an unpacked dataset must have been made from to be the one that is asked for."""
    if source.is_remote or source.sha256:
        return {"bytes": source.bytes, "sha256": source.sha256, "md5": source.md5_first_mebibyte}
    try:
        status = os.stat(source.addresses[0])
    except OSError as error:
        raise _describe_missing(source) from error
    return {"bytes": status.st_size, "modified": status.st_mtime_ns}


def _describe_missing(source: Source) -> CourseError:
    return CourseError(
        f"The archive {source.addresses[0]} is missing: put it back there, or choose another "
        "dataset with COURSE_DATA or COURSE_PROFILE."
    )


@contextlib.contextmanager
def _lock(downloads: Path, name: str) -> Iterator[None]:
    lock = FileLock(downloads / f"{name}.lock")
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Another process is getting {name} already: waiting for it.", flush=True)
            lock.acquire(poll_interval=0.2)
    except NotImplementedError as error:  # a network disk that knows no locks
        raise describe_write_error(OSError(str(error)), downloads) from error
    except OSError as error:
        raise describe_write_error(error, downloads) from error
    try:
        yield
    finally:
        lock.release()


def _fetch_archive(source: Source, downloads: Path) -> Path:
    """The path of a source's archive, complete and checked. The caller holds the dataset's lock."""
    if not source.is_remote:
        archive = Path(source.addresses[0])
        if not archive.is_file():
            raise _describe_missing(source)
        if fault := _find_fault(archive, source):
            raise CourseError(f"The archive {archive} {fault}: replace it by a good copy.")
        return archive
    archive = downloads / source.file_name
    if archive.exists():
        if fault := _find_fault(archive, source):
            raise CourseError(f"The file {archive} {fault}: delete it, and run this again.")
        return archive
    part = _part_path(archive)
    reasons = []
    # The mirror that a partial file came from goes first: no other could go on with it.
    begun_at = read_json(state_path(part)).get("url")
    for url in sorted(source.addresses, key=lambda address: address != begun_at):
        try:
            transfer(url, part, source.bytes, lambda left, total: _reserve(downloads, left, total))
            if fault := _find_fault(part, source):
                part.unlink()
                raise MirrorError(f"sent a file that {fault}")
            return _keep(part, archive, source)
        except MirrorError as error:
            reasons.append(f"{show_address(url)} {error}")
    raise CourseError(
        f"The dataset {source.name} could not be downloaded ({'; '.join(reasons)}): "
        "set COURSE_DATA to the URL of a mirror, or choose COURSE_PROFILE=sample, which needs no "
        f"network, or put the file by hand at {archive}, and run this again."
    )


def _part_path(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.part")


def _reserve(downloads: Path, remaining: int, total: int) -> None:
    # Photographs hardly shrink in an archive: unpacked they take about as much again.
    require_space(downloads, remaining + total, "downloading and unpacking the dataset")


def _find_fault(archive: Path, source: Source) -> str | None:
    """What is wrong with a complete file, as the end of a sentence, or None; cheapest first."""
    size = archive.stat().st_size
    if source.bytes is not None and size != source.bytes:
        return f"has {size:,} bytes instead of {source.bytes:,}"
    if source.md5_first_mebibyte:
        with archive.open("rb") as file:
            digest = hashlib.md5(file.read(MEBIBYTE), usedforsecurity=False).hexdigest()
        if digest != source.md5_first_mebibyte:
            return f"has the wrong checksum (md5 of its first mebibyte is {digest})"
    if source.sha256 and (digest := hash_file(archive)) != source.sha256:
        return f"has the wrong checksum (sha256 {digest[:8]}… instead of {source.sha256[:8]}…)"
    return None


def _keep(part: Path, archive: Path, source: Source) -> Path:
    """Give a checked download its name, and note that it is ours to delete."""
    try:
        if source.sha256 is None:
            record = archive.with_name(f"{archive.name}.sha256")  # as sha256sum -c reads it
            record.write_text(f"{hash_file(part)}  {archive.name}\n", encoding="utf-8")
        status = part.stat()
        ours = {"downloaded": [status.st_size, status.st_mtime_ns]}
        write_json(state_path(part), read_json(state_path(part)) | ours)
        os.replace(part, archive)
    except OSError as error:
        raise describe_write_error(error, archive.parent) from error
    return archive


def _remove_if_ours(archive: Path) -> bool:
    """Delete an archive that this module downloaded; one that somebody put there is kept."""
    state = state_path(_part_path(archive))
    status = archive.stat()
    if read_json(state).get("downloaded") != [status.st_size, status.st_mtime_ns]:
        return False
    archive.unlink()
    state.unlink()
    return True


def main(arguments: list[str] | None = None) -> int:
    """`python -m utils.download`: gets dataset and weights, says where; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.download", description="Get the dataset and the pretrained weights."
    )
    parser.add_argument("--profile", help="sample, photos or full")
    parser.add_argument("--data", metavar="PATH_OR_URL", help="a folder, an archive or its URL")
    parser.add_argument("--backbone", help="resnet101 or efficientnet_lite0")
    for name, value in vars(parser.parse_args(arguments)).items():
        if value:  # what is typed here wins over the environment, as nothing else does
            os.environ[f"COURSE_{name.upper()}"] = value
    try:
        settings = load_settings()
        source = find_source(settings.data)
        folders = fetch_dataset(source, settings.home)
        print(f"\n{source.name}: {source.title}")
        for split, folder in (("train", folders.train), ("test", folders.test)):
            counts = (f"{number:,} {name}" for name, number in count_classes(folder).items())
            print(f"  {split:8} {', '.join(counts)} in {folder}")
        print(f"  licence  {source.licence}\n  origin   {source.origin}")
        weights = fetch_weights(settings.backbone)
        print(f"{settings.backbone}: {format_bytes(weights.stat().st_size)} in {weights}")
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: run the same command again to go on where it stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
