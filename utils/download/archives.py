"""A tar or zip into a folder: read to its end first, then plain files only, and nothing outside."""

import bz2
import errno
import gzip
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from utils.files import DISK_FULL, format_bytes, require_space
from utils.settings import CourseError

# Photographs are compressed already: what grows more than this is meant to fill the disk.
LARGEST_GROWTH = 20
HARMLESS_BYTES = 256 * 1024**2
DEEPEST, LONGEST = 20, 255  # folders, bytes of a name: real datasets have four, disks no more
WRITE_ERRORS = DISK_FULL | {errno.EACCES, errno.EPERM, errno.EROFS}
OPENERS: dict[bytes, Callable] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
OTHERS = {b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive", b"<": "a saved web page"}
OTHERS |= {b"\x28\xb5\x2f\xfd": "a Zstandard archive", b"\xff\xd8\xff": "a single image"}
ARCHIVES = (".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
LITTER = ("thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information")


class DamagedError(CourseError):
    """The archive is not as it was made: another copy of it may be."""


def is_hidden(name: str) -> bool:
    """Whether a program, and no person, made a file or folder of this name."""
    return name.startswith((".", "__")) or name.lower() in LITTER


def unpack(
    archive: Path, folder: Path, is_wanted: Callable[[list[str]], bool] = lambda parts: True
) -> list[str]:
    """Unpack the members whose path's parts `is_wanted` into `folder`, which is new.

    Hidden ones are passed over; returns a sentence for each that cannot be unpacked. Raises
    DamagedError, CourseError for what is no fault of this copy, or OSError where the disk is full;
    the caller removes what was written until then.
    """
    start, lost = b"", []

    def choose(name: str, is_link: bool = False) -> list[str]:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if not parts or any(map(is_hidden, parts)) or not is_wanted(parts):
            return []
        if is_link or len(parts) > DEEPEST or len(os.fsencode(max(parts, key=len))) > LONGEST:
            lost.append(f"{'/'.join(parts)[:99]} in the archive is a link, or too long a name.")
            return []
        return parts

    try:
        folder.mkdir(parents=True)
        with archive.open("rb") as file:
            start = file.read(512)
        for beginning, kind in OTHERS.items():
            if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(beginning):
                raise NotImplementedError(f"it is {kind}, whatever its name says")
        if start[:2] == b"PK" or start[:2] == b"MZ" and zipfile.is_zipfile(archive):
            _unpack_zip(archive, folder, choose)
        else:
            _unpack_tar(archive, folder, choose, OPENERS.get(start[:2], open))
        return lost
    except CourseError:
        raise
    except Exception as error:  # damage makes tarfile and zipfile raise almost anything
        if getattr(error, "errno", None) in WRITE_ERRORS:
            raise
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        reason = "it has a password" if "password" in reason else reason
        # RuntimeError is a password, NotImplementedError Deflate64, FilterError a hostile name.
        if isinstance(error, (RuntimeError, tarfile.FilterError)):
            raise CourseError(
                f"The archive {archive} cannot be used ({reason}): set COURSE_DATA to a folder of "
                "images (unpack an archive that you trust), or pack the images again as .zip."
            ) from error
        if start[:2] not in (b"PK", b"MZ", *OPENERS) and b"ustar" not in start:
            reason = "it does not begin like a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz"
        raise DamagedError(
            f"The archive {archive} is damaged or incomplete ({reason}): use a good copy."
        ) from error


def _unpack_zip(archive: Path, folder: Path, choose: Callable) -> None:
    with zipfile.ZipFile(archive) as opened:
        _check_size(archive, sum(member.file_size for member in opened.infolist()), folder)
        for member in opened.infolist():
            is_folder = member.filename.endswith(("/", "\\")) or member.external_attr & 0x10
            name = member.filename.replace("\\", "/")  # some Windows programs write backslashes
            tarfile.data_filter(tarfile.TarInfo(name), str(folder))  # by the same rules
            if parts := choose(name):
                member.filename = "/".join(parts) + "/" * bool(is_folder)
                opened.extract(member, folder)


def _unpack_tar(archive: Path, folder: Path, choose: Callable, opener: Callable) -> None:
    total = filled = 0
    with opener(archive, "rb") as stream:
        while block := stream.read(1 << 20):  # to the very end, where gzip keeps its checksum
            content = len(block.rstrip(b"\0"))
            filled = total + content if content else filled
            total += len(block)
            _check_size(archive, total, folder)

    def select(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        modified = member.mtime if 0 <= member.mtime < 2**32 else 0  # others no clock can show
        name = member.name.replace("\\", "/")
        member = tarfile.data_filter(member.replace(name=name, mtime=modified, deep=False), path)
        if member.issparse():  # holes take no room in the archive, and any room on the disk
            raise tarfile.SpecialFileError(member)
        parts = choose(member.name, member.issym())
        return member.replace(name="/".join(parts), deep=False) if parts else None

    with opener(archive, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as opened:
        opened.extractall(folder, filter=select)
        # tarfile takes a damaged header or a lost end for the end of the archive, in silence.
        if opened.offset < filled or opened.offset + tarfile.BLOCKSIZE > total:
            raise EOFError("it breaks off or has a damaged header")


def _check_size(archive: Path, total: int, folder: Path) -> None:
    limit = max(HARMLESS_BYTES, LARGEST_GROWTH * archive.stat().st_size)
    if total > limit:
        raise RuntimeError(f"it would unpack to more than {format_bytes(limit)}, as no images do")
    require_space(folder, total, f"unpacking {archive.name}")
