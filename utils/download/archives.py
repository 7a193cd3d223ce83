"""A tar or zip into a folder: read to its end first, then plain files only, and nothing outside."""

import bz2
import errno
import gzip
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from utils.files import DISK_FULL, describe_write_error, format_bytes, require_space
from utils.settings import CourseError

# Photographs are compressed already: what grows more than this is meant to fill the disk.
LARGEST_GROWTH = 20
HARMLESS_BYTES = 256 * 1024**2
DEEPEST = 20  # folders; real datasets have four
WRITE_ERRORS = DISK_FULL | {errno.EACCES, errno.EPERM, errno.EROFS}
OPENERS = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
OTHERS = {b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive", b"<": "a saved web page"}
LITTER = ("thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information")


class DamagedError(CourseError):
    """The archive is not as it was made: another copy of it may be."""


def is_hidden(name: str) -> bool:
    """Whether a program, and no person, made a file or folder of this name."""
    return name.startswith((".", "__")) or name.lower() in LITTER


def is_archive_name(name: str) -> bool:
    """Whether a file is called like an archive that is opened here."""
    return bool(re.search(r"\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))$", name.lower()))


def unpack(archive: Path, folder: Path, is_wanted: Callable[[list[str]], bool]) -> None:
    """Unpack the members whose path's parts `is_wanted` into `folder`, which is new.

    Raises DamagedError, or CourseError for what is no fault of this copy; the caller removes what
    was written until then.
    """
    try:
        folder.mkdir(parents=True)
        with archive.open("rb") as file:
            start = file.read(512)
        for beginning, kind in OTHERS.items():
            if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(beginning):
                raise NotImplementedError(f"it is {kind}, whatever its name says")
        is_zip = start[:2] == b"PK" or start[:2] == b"MZ" and zipfile.is_zipfile(archive)
        (_unpack_zip if is_zip else _unpack_tar)(archive, folder, is_wanted)
    except CourseError:
        raise
    except Exception as error:  # damage makes tarfile and zipfile raise almost anything
        if getattr(error, "errno", None) in WRITE_ERRORS:
            raise describe_write_error(error, folder.parents[1]) from error
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        # RuntimeError is a password, NotImplementedError Deflate64, FilterError a hostile name.
        if isinstance(error, (RuntimeError, tarfile.FilterError)):
            raise CourseError(
                f"The archive {archive} cannot be used ({reason}): if you trust it, unpack it "
                "yourself and set COURSE_DATA to the folder, or pack the images again as .zip."
            ) from error
        raise DamagedError(
            f"The archive {archive} is damaged or incomplete ({reason}): replace it by a good copy."
        ) from error


def _unpack_zip(archive: Path, folder: Path, is_wanted: Callable) -> None:
    with zipfile.ZipFile(archive) as opened:
        _check_size(archive, sum(member.file_size for member in opened.infolist()), folder)
        if damaged := opened.testzip():
            raise ValueError(f"wrong checksum of {damaged[:80]!r}")
        for member in opened.infolist():
            is_folder = member.filename.endswith(("/", "\\")) or member.external_attr & 0x10
            parts = _split(member.filename)
            tarfile.data_filter(tarfile.TarInfo("/".join(parts)), folder)  # by the same rules
            member.filename = "/".join(parts) + "/" * bool(is_folder)
            if parts and is_wanted(parts):
                opened.extract(member, folder)


def _unpack_tar(archive: Path, folder: Path, is_wanted: Callable) -> None:
    with archive.open("rb") as file:
        opener = OPENERS.get(file.read(2), open)
    total = filled = 0
    with opener(archive, "rb") as stream:
        while block := stream.read(1 << 20):  # to the very end, where gzip keeps its checksum
            content = len(block.rstrip(b"\0"))
            filled = total + content if content else filled
            total += len(block)
            _check_size(archive, total, folder)

    def select(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        parts = _split(member.name)
        modified = member.mtime if 0 <= member.mtime < 2**32 else 0  # others no clock can show
        member = member.replace(name="/".join(parts), mtime=modified, deep=False)
        member = tarfile.data_filter(member, path)
        if member.issparse():  # holes take no room in the archive, and any room on the disk
            raise tarfile.SpecialFileError(member)
        # A link among the images has its target beside it, or none at all.
        return member if parts and is_wanted(parts) and not member.issym() else None

    with opener(archive, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as opened:
        opened.extractall(folder, filter=select)
        # tarfile takes a damaged header or a lost end for the end of the archive, in silence.
        if opened.offset < filled or opened.offset + tarfile.BLOCKSIZE > total:
            raise EOFError("it breaks off or has a damaged header")


def _split(name: str) -> list[str]:
    """The parts of a member's name, which some Windows programs write with backslashes."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return parts if len(parts) <= DEEPEST else []


def _check_size(archive: Path, total: int, folder: Path) -> None:
    limit = max(HARMLESS_BYTES, LARGEST_GROWTH * archive.stat().st_size)
    if total > limit:
        raise RuntimeError(f"it would unpack to more than {format_bytes(limit)}, as no images do")
    require_space(folder, total, f"unpacking {archive.name}")
