"""An archive into a folder: plain files only, train and test parts only, all or nothing."""

import contextlib
import os
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import BinaryIO

from utils.archives import BadArchiveError, Member, read_members
from utils.disk import BLOCK, describe_write_error, make_bar
from utils.errors import CourseError
from utils.files import read_json, write_json
from utils.layout import (
    SIDE_FOLDERS,
    SPLIT_NAMES,
    DatasetFolders,
    count_classes,
    find_dataset,
    is_hidden,
    is_image_name,
)

MARKER = ".complete.json"
DEEPEST_MEMBER = 20  # folders; real datasets have four


def read_marker(target: Path, name: str, identity: dict) -> DatasetFolders | None:
    """The dataset in `target` if it was unpacked whole from what `identity` says, else None."""
    marker = read_json(target / MARKER)
    if marker.get("source") != name or marker.get("identity") != identity:
        return None
    folders = DatasetFolders(name, target, target / marker["train"], target / marker["test"])
    return folders if folders.train.is_dir() and folders.test.is_dir() else None


def unpack_archive(
    archive: Path, target: Path, identity: dict, expected: dict[str, dict[str, int]] | None = None
) -> DatasetFolders:
    """Unpack the train and test parts of a tar or zip into the new folder `target`, all or nothing.

    The work is done in a hidden folder beside `target` that takes its name at the very end; an
    older `target` is replaced, never merged. `identity` goes into the marker; `expected` are the
    exact numbers of images (see Source.counts). The caller holds the dataset's lock.
    Raises CourseError, having written nothing outside and left nothing behind.
    """
    remove_leftovers(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.unpacking-", dir=target.parent))
    except OSError as error:
        raise describe_write_error(error, target.parent) from error
    try:
        contents = scratch / "new"
        images = _unpack_members(archive, contents)
        try:
            found = find_dataset(target.name, contents, f"The archive {archive}", images)
        except CourseError as error:
            raise BadArchiveError(str(error)) from error
        counts = {"train": count_classes(found.train), "valid": count_classes(found.test)}
        _compare_counts(archive, counts, expected)
        train = found.train.relative_to(contents).as_posix()
        test = found.test.relative_to(contents).as_posix()
        marker = {"source": target.name, "identity": identity, "train": train, "test": test}
        try:
            write_json(contents / MARKER, marker | {"counts": counts})
            if target.exists():
                os.rename(target, scratch / "old")
            os.rename(contents, target)
        except OSError as error:
            raise describe_write_error(error, target.parent) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return DatasetFolders(target.name, target, target / train, target / test)


def remove_leftovers(target: Path) -> None:
    """Delete what a killed process left beside `target`. The caller holds the dataset's lock."""
    for leftover in target.parent.glob(f".{target.name}.unpacking-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _unpack_members(archive: Path, folder: Path) -> Counter[str]:
    """Write the wanted members into the new folder; returns the images in each of the archive's."""
    images: Counter[str] = Counter()
    size = archive.stat().st_size
    try:
        folder.mkdir()
    except OSError as error:
        raise describe_write_error(error, folder.parent) from error
    try:
        with archive.open("rb") as file, make_bar(size, f"unpacking {archive.name}") as bar:
            for member in read_members(archive, file, folder):
                parts = _check_member(member, archive)
                if parts and is_image_name(parts[-1]):
                    images["/".join(parts[:-1]) or "."] += 1
                if _is_wanted(parts):
                    _write_member(member, folder, parts)
                bar.update(max(0, file.tell() - bar.n))
    except CourseError:
        raise
    except Exception as error:  # damage makes tarfile and zipfile raise almost anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise BadArchiveError(
            f"The archive {archive} is damaged or incomplete ({reason}): replace it by a good copy."
        ) from error
    return images


def _check_member(member: Member, archive: Path) -> tuple[str, ...]:
    """The parts of a member's name; BadArchiveError if it is no plain file inside the target.

    Checked for every member, wanted or not: an archive that tries this is not to be trusted.
    """
    path = member.name.replace("\\", "/")  # as some Windows programs write it
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    refused = f"The archive {archive} is refused: its member {member.name[:80]!r}"
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in parts or "\0" in path:
        raise BadArchiveError(
            f"{refused} would be written outside the dataset's folder; get the archive from a "
            "source you trust."
        )
    if member.kind not in ("file", "folder"):
        raise BadArchiveError(
            f"{refused} is a {member.kind}, and only plain files and folders belong in a dataset; "
            "pack it again without it."
        )
    if len(parts) > DEEPEST_MEMBER:
        raise BadArchiveError(
            f"{refused} lies more than {DEEPEST_MEMBER} folders deep; pack it again in the layout "
            "train/<class>/*.jpg and valid/<class>/*.jpg."
        )
    return parts


def _is_wanted(parts: tuple[str, ...]) -> bool:
    """Whether a member lies in a train or test part, and not in an extra such as test1/."""
    if any(map(is_hidden, parts)):
        return False
    for depth, part in enumerate(parts[:-1]):
        if part.lower() in SPLIT_NAMES:
            return True
        if part in SIDE_FOLDERS and depth > 0:
            return False
    return False


def _write_member(member: Member, folder: Path, parts: tuple[str, ...]) -> None:
    path = folder.joinpath(*parts)
    try:
        if member.kind == "folder":  # empty ones too: a class without pictures has to be noticed
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with _open_member(member) as content, path.open("wb") as output:
            while block := _read_block(content):
                output.write(block)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise ValueError(f"{member.name[:80]!r} is both a file and a folder") from error
    except OSError as error:
        raise describe_write_error(error, folder.parents[1]) from error
    if member.modified is not None:
        # A date that no clock can show does not make the picture worse.
        with contextlib.suppress(OSError, OverflowError, ValueError):
            os.utime(path, (member.modified, member.modified))


def _open_member(member: Member) -> BinaryIO:
    """Damage is an OSError to gzip, too; as an EOFError it is told from a disk that is full."""
    try:
        return member.open()
    except OSError as error:
        raise EOFError(str(error)) from error


def _read_block(content: BinaryIO) -> bytes:
    """See _open_member."""
    try:
        return content.read(BLOCK)
    except OSError as error:
        raise EOFError(str(error)) from error


def _compare_counts(archive: Path, counts: dict, expected: dict | None) -> None:
    for split, classes in (expected or {}).items():
        if counts[split] != classes:
            raise BadArchiveError(
                f"The archive {archive} has {_format_counts(counts[split])} in {split} instead of "
                f"{_format_counts(classes)}: it is incomplete or another one, replace it by a good "
                "copy."
            )


def _format_counts(classes: dict[str, int]) -> str:
    return " and ".join(f"{number:,} {name}" for name, number in classes.items())
