"""Gets a dataset: downloaded, checked and unpacked once, then found again without a network.

`python -m utils.download` does it from the command line: prepare a classroom the day before.
"""

import argparse
import hashlib
import os
import shutil
import sys
from pathlib import Path

from utils.archives import BadArchiveError
from utils.disk import describe_write_error, format_bytes, hash_file, require_space
from utils.errors import CourseError
from utils.files import find_places, read_json, write_atomically, write_json
from utils.layout import DatasetFolders, count_classes, find_dataset
from utils.locks import hold_lock
from utils.settings import Settings, load_settings
from utils.sources import Source, find_source
from utils.transfer import MirrorError, state_path, transfer_first
from utils.unpack import read_marker, unpack_archive
from utils.weights import fetch_weights

MEBIBYTE = 1 << 20


def fetch_dataset(source: Source, home: Path) -> DatasetFolders:
    """The folders of a dataset, downloaded and unpacked below `home` if they are not there yet.

    A folder is used where it lies and never written to; a local archive is unpacked from where it
    lies. A URL goes to `home/downloads/<file name>.part`, is checked, renamed, unpacked into
    `home/datasets/<name>`, and then deleted: the pictures are what is needed. An archive that
    somebody put at `home/downloads/<file name>` is checked, used and kept. Both folders are looked
    for in COURSE_SHARED first.
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
    identity = _identify(source)
    # A dataset that is there needs no lock: it came by one rename, and `home` may be read-only.
    for target in find_places(home, "datasets", source.name):
        if ready := read_marker(target, source.name, identity):
            return ready
    places = find_places(home, "downloads", source.file_name)
    with hold_lock(home / "downloads", source.name):
        if ready := read_marker(target, source.name, identity):  # another process got it meanwhile
            return ready
        archive = _fetch_archive(source, places)
        try:
            folders = unpack_archive(archive, target, identity, source.counts)
        except BadArchiveError as error:
            if source.is_remote and archive == places[-1] and _remove_if_ours(archive):
                raise CourseError(
                    f"{str(error).rstrip('.')}; the download has been deleted, and running this "
                    "again downloads it anew."
                ) from error
            raise
        if source.is_remote and archive == places[-1]:
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


def _fetch_archive(source: Source, places: list[Path]) -> Path:
    """The path of a source's archive, complete and checked. The caller holds the dataset's lock.

    A remote one may lie at one of `places` already; it is downloaded to the last of them.
    """
    if not source.is_remote:
        archive = Path(source.addresses[0])
        if not archive.is_file():
            raise _describe_missing(source)
        if fault := _find_fault(archive, source):
            raise CourseError(f"The archive {archive} {fault}: replace it by a good copy.")
        return archive
    for archive in places:
        if archive.exists():
            if fault := _find_fault(archive, source):
                raise CourseError(f"The file {archive} {fault}: delete it, and run this again.")
            return archive
    part = _part_path(archive)
    try:
        transfer_first(
            source.addresses,
            part,
            source.bytes,
            lambda left, total: _reserve(archive.parent, left, total),
            lambda complete: _find_fault(complete, source),
        )
    except MirrorError as error:
        raise CourseError(
            f"The dataset {source.name} could not be downloaded ({error}): set COURSE_DATA to "
            "another address of the archive (or COURSE_MIRROR to that of a folder with it), or "
            "choose COURSE_PROFILE=sample, which needs no network, or put the file by hand at "
            f"{archive}, and run this again."
        ) from error
    return _keep(part, archive, source)


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


def fill_mirror(settings: Settings, folder: Path) -> None:
    """Put the dataset's archive and the weights into `folder` as they are, to be served to a class.

    Raises CourseError where one of them cannot be had.
    """
    source = find_source(settings.data)
    if not source.is_remote and settings.backbone != "resnet101":
        raise CourseError(
            f"The dataset {source.name} and the backbone {settings.backbone} need no download, so "
            "there is nothing to serve: choose --profile photos or --profile full."
        )
    if source.is_remote:
        archive = folder / source.file_name
        with hold_lock(folder, source.name):
            _fetch_archive(source, [archive])
            # Without its state the archive is nobody's download, and so never deleted.
            state_path(_part_path(archive)).unlink(missing_ok=True)
        print(f"\n{source.name}: {format_bytes(archive.stat().st_size)} in {archive}")
    if settings.backbone == "resnet101":
        weights = fetch_weights(settings.backbone)
        copy = folder / weights.name
        with weights.open("rb") as original:
            write_atomically(copy, lambda file: shutil.copyfileobj(original, file))
        print(f"{settings.backbone}: {format_bytes(copy.stat().st_size)} in {copy}")
    print(
        f"Serve them with  python -m http.server --directory {folder} 8000\n"
        "and start the notebooks with COURSE_MIRROR=http://ADDRESS_OF_THIS_MACHINE:8000"
    )


def main(arguments: list[str] | None = None) -> int:
    """`python -m utils.download`: gets dataset and weights, says where; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.download", description="Get the dataset and the pretrained weights."
    )
    parser.add_argument("--profile", help="sample, photos or full")
    parser.add_argument("--data", metavar="PATH_OR_URL", help="a folder, an archive or its URL")
    parser.add_argument("--backbone", help="resnet101 or efficientnet_lite0")
    parser.add_argument(
        "--mirror", metavar="FOLDER", type=Path, help="only put the files there, to serve a class"
    )
    typed = vars(parser.parse_args(arguments))
    folder = typed.pop("mirror")
    for name, value in typed.items():
        if value:  # what is typed here wins over the environment, as nothing else does
            os.environ[f"COURSE_{name.upper()}"] = value
    try:
        settings = load_settings()
        if folder:
            fill_mirror(settings, folder)
            return 0
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
