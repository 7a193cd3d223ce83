"""Where pictures come from: the table of datasets, and how a learner's own pictures join it."""

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from utils.errors import CourseError
from utils.settings import ROOT, find_mirror

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")

PHOTOGRAPHS_LICENCE = (
    "the photographs belong to their owners and are for research and education only; "
    "the course downloads them and does not pass them on"
)
PHOTOGRAPHS_ORIGIN = (
    "Asirra set of Microsoft Research and Petfinder, by way of Kaggle's Dogs vs. Cats (2013)"
)


@dataclass(frozen=True)
class Source:
    """A dataset, where to get it, and how to tell that it arrived whole.

    `addresses` are URLs tried in order, or one local path. A check that nobody published is None.
    `counts` are exact: split → class → images, with the splits called "train" and "valid".
    """

    name: str
    addresses: tuple[str, ...]
    bytes: int | None
    sha256: str | None
    md5_first_mebibyte: str | None
    counts: dict[str, dict[str, int]] | None
    licence: str
    origin: str
    title: str

    @property
    def is_remote(self) -> bool:
        return self.addresses[0].startswith(("http://", "https://"))

    @property
    def file_name(self) -> str:
        """Name of the archive in `downloads/`; an own one has its hash in it: two never meet."""
        last_part = PurePosixPath(unquote(urlsplit(self.addresses[0]).path)).name
        return last_part if self.name in SOURCES else self.name + find_suffix(last_part)


def find_suffix(name: str) -> str:
    """The archive suffix that `name` ends with, in lower case, or ""."""
    return next((suffix for suffix in ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), "")


SOURCES = {
    "sample": Source(
        name="sample",
        title="drawn cats and dogs",
        addresses=(str(ROOT / "data" / "dogscats-sample.tgz"),),
        bytes=7_177_183,
        sha256="42fd913511a7b4794a3284dbf0f938713f0c4502357d887bd1ddf23e26df7b94",
        md5_first_mebibyte=None,
        counts={"train": {"cats": 200, "dogs": 200}, "valid": {"cats": 150, "dogs": 150}},
        licence="MIT",
        origin="drawn by utils/sample_pets.py",
    ),
    "photos": Source(
        name="photos",
        title="3,000 photographs of cats and dogs",
        addresses=("https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip",),
        bytes=68_606_236,
        sha256=None,
        md5_first_mebibyte=None,
        counts={
            "train": {"cats": 1_000, "dogs": 1_000},
            "valid": {"cats": 500, "dogs": 500},
        },
        licence=PHOTOGRAPHS_LICENCE,
        origin=PHOTOGRAPHS_ORIGIN + ", 3,000 of them chosen by Google's machine learning education",
    ),
    "full": Source(
        name="full",
        title="25,000 photographs of cats and dogs",
        addresses=(
            "https://s3.amazonaws.com/fast-ai-sample/dogscats.tgz",
            "https://files.fast.ai/data/examples/dogscats.tgz",
        ),
        bytes=839_285_364,
        sha256=None,  # nobody published one: size, first mebibyte, gzip CRC and counts stand in
        md5_first_mebibyte="3e483c8d6ef2175e9d395a6027eb92b7",
        counts={
            "train": {"cats": 11_500, "dogs": 11_500},
            "valid": {"cats": 1_000, "dogs": 1_000},
        },
        licence=PHOTOGRAPHS_LICENCE,
        origin=PHOTOGRAPHS_ORIGIN + ", arranged by fast.ai",
    ),
}


def find_source(data: str) -> Source:
    """The source that `data` names: one of SOURCES, or a folder, an archive's path, its URL.

    "~" is the home folder; "./full" is a folder of that name. COURSE_MIRROR becomes the first of a
    public dataset's addresses. Raises CourseError for anything else.
    """
    data = data.strip()
    if data in SOURCES:
        source, mirror = SOURCES[data], find_mirror()
        if mirror is None or not source.is_remote:
            return source
        addresses = (f"{mirror}/{source.file_name}", *source.addresses)
        return replace(source, addresses=addresses)
    known = (
        f"give {', '.join(SOURCES)}, a folder, the path of an archive "
        f"({', '.join(ARCHIVE_SUFFIXES)}), or the http(s) URL of one"
    )
    if re.match(r"[a-z][a-z0-9+.-]+://", data, re.IGNORECASE):
        try:
            url = urlsplit(data)
        except ValueError as error:  # brackets that are no IPv6 address
            raise CourseError(f"The data address '{data}' is no URL: {known}.") from error
        if url.scheme.lower() not in ("http", "https") or not url.hostname:
            raise CourseError(f"The data address '{data}' is no http(s) URL: {known}.")
        if not find_suffix(unquote(url.path)):
            raise CourseError(f"The data address '{data}' does not end like an archive: {known}.")
        # Scheme and host are the same in any case of letters; the comparison of addresses is not.
        address = url._replace(scheme=url.scheme.lower()).geturl()
        return _describe_own(address, PurePosixPath(unquote(url.path)).name)
    if not data:
        raise CourseError(f"The data setting is empty: {known}.")
    path = Path(data).expanduser().resolve()
    if not path.exists():
        raise CourseError(
            f"There is no dataset, folder or archive '{data}' (looked at {path}): {known}."
        )
    if not path.is_dir() and not find_suffix(path.name):
        raise CourseError(f"The file {path} is not an archive: {known}.")
    return _describe_own(str(path), path.name)


def _describe_own(address: str, last_part: str) -> Source:
    stem = last_part[: len(last_part) - len(find_suffix(last_part))]
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[:40] or "data"
    return Source(
        name=f"{slug}-{hashlib.sha256(address.encode()).hexdigest()[:8]}",
        title=last_part,
        addresses=(address,),
        bytes=None,
        sha256=None,
        md5_first_mebibyte=None,
        counts=None,
        licence="not known to the course: ask whoever gave you the pictures",
        origin=address,
    )
