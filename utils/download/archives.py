"""What is in a tar or zip archive, member by member, without trusting a word of it."""

import gzip
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from utils.disk import BLOCK, format_bytes, require_space
from utils.errors import CourseError

# Photographs are compressed already: what grows more than this is meant to fill the disk.
LARGEST_GROWTH = 20
HARMLESS_BYTES = 256 * 1024**2

FILE_KINDS = {  # the type bits of a Unix mode; 0 where the zip was made elsewhere
    0: "file",
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "FIFO",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
TAR_KINDS = {
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.FIFOTYPE: "FIFO",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
}


class BadArchiveError(CourseError):
    """The archive itself is at fault, not the disk: there is no sense in keeping a copy of it."""


class Member(NamedTuple):
    """One entry of an archive. `open` gives its bytes, to be read before the next member."""

    name: str
    kind: str  # "file", "folder", or what it is instead
    size: int  # bytes, as declared
    modified: float | None  # seconds since 1970
    open: Callable[[], BinaryIO]


def recognise_archive(start: bytes) -> str | None:
    """What a file is by its first 512 bytes: "gzip", "zip", "tar" or None."""
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    return "tar" if start[257:262] == b"ustar" else None


def read_members(archive: Path, file: BinaryIO, folder: Path) -> Iterator[Member]:
    """The members of an archive that is open as `file`, to be unpacked into `folder`.

    Raises CourseError if the disk has no room, BadArchiveError for a decompression bomb, and what
    tarfile, zipfile and gzip raise for damage that they notice themselves.
    """
    size = archive.stat().st_size
    limit = max(HARMLESS_BYTES, LARGEST_GROWTH * size)
    kind = recognise_archive(file.read(512))
    file.seek(0)
    if kind == "zip":
        yield from _read_zip(archive, file, folder, limit)
        return
    require_space(folder, size, f"unpacking {archive.name}")
    stream = gzip.GzipFile(fileobj=file) if kind == "gzip" else file
    yield from _read_tar(LimitedReader(stream, limit, archive))


def _read_zip(archive: Path, file: BinaryIO, folder: Path, limit: int) -> Iterator[Member]:
    with zipfile.ZipFile(file) as opened:
        needed = sum(info.file_size for info in opened.infolist())
        if needed > limit:
            raise _describe_bomb(archive, limit)
        require_space(folder, needed, f"unpacking {archive.name}")
        for info in opened.infolist():
            if info.flag_bits & 1:
                raise BadArchiveError(
                    f"The archive {archive} has a password: pack it again without one."
                )
            kind = FILE_KINDS.get(stat.S_IFMT(info.external_attr >> 16), "special file")
            if info.is_dir():
                kind = "folder"
            yield Member(info.filename, kind, info.file_size, None, partial(opened.open, info))


def _read_tar(stream: "LimitedReader") -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r:") as opened:
        for info in opened:
            kind = TAR_KINDS.get(info.type, "special file")
            if info.issparse():
                kind = "sparse file"  # holes take no room in the archive, and any room on the disk
            elif info.isreg() or info.isdir():
                kind = "file" if info.isreg() else "folder"
            yield Member(info.name, kind, info.size, info.mtime, partial(opened.extractfile, info))
    # tarfile takes a damaged header or the end of the data for the end of the archive, in silence.
    if stream.last != bytes(tarfile.BLOCKSIZE):
        raise EOFError("it breaks off or has a damaged header")
    while stream.read(BLOCK):  # to the very end, where gzip keeps its checksum
        pass


class LimitedReader:
    """What tarfile reads from: no more than `limit` bytes, and the last block remembered.

    The limit counts the bytes as they come out of gzip, since headers can lie about sizes.
    """

    def __init__(self, stream: BinaryIO, limit: int, archive: Path) -> None:
        self.stream, self.limit, self.archive = stream, limit, archive
        self.last = b""

    def tell(self) -> int:
        return self.stream.tell()

    def seek(self, position: int) -> int:
        if position > self.limit:
            raise _describe_bomb(self.archive, self.limit)
        return self.stream.seek(position)

    def read(self, size: int) -> bytes:
        self.last = self.stream.read(min(size, self.limit))
        if self.stream.tell() > self.limit:
            raise _describe_bomb(self.archive, self.limit)
        return self.last


def _describe_bomb(archive: Path, limit: int) -> BadArchiveError:
    return BadArchiveError(
        f"The archive {archive} is refused: it would unpack to more than {format_bytes(limit)}, as "
        "no pictures do; if you trust it, unpack it yourself and set COURSE_DATA to the folder."
    )
