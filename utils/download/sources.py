"""Where images come from: the table of datasets, and how a learner's own images join it."""

import contextlib
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from utils.settings import ROOT, CourseError, Settings

ASIRRA = (
    "the photographs (Asirra set of Microsoft Research and Petfinder, by way of Kaggle) belong to "
    "their owners and are for research and education only; the course does not pass them on"
)


@dataclass(frozen=True)
class Source:
    """A dataset, where to get it, and how to tell that it arrived whole.

    `addresses` are URLs tried in order, or one local path. What nobody has published is None.
    """

    name: str
    title: str
    addresses: tuple[str, ...]
    licence: str | None = None
    size: int | None = None  # bytes
    counts: tuple[int, int] | None = None  # cats (and as many dogs) to train and to test on
    sha256: str | None = None
    md5_start: str | None = None  # of the first mebibyte

    @property
    def is_remote(self) -> bool:
        return self.addresses[0].startswith(("http://", "https://"))

    @property
    def file_name(self) -> str:
        """Name of the archive in `downloads/`; an own one has its hash in it: two never meet."""
        last = PurePosixPath(unquote(urlsplit(self.addresses[0]).path))
        return last.name if self.name in SOURCES else self.name + last.suffix


SAMPLE = (str(ROOT / "data" / "dogscats-sample.tgz"),)
PHOTOS = ("https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip",)
FAST_AI = "https://s3.amazonaws.com/fast-ai-sample", "https://files.fast.ai/data/examples"
FULL = tuple(f"{place}/dogscats.tgz" for place in FAST_AI)
SAMPLE_SHA256 = "42fd913511a7b4794a3284dbf0f938713f0c4502357d887bd1ddf23e26df7b94"
MD5 = "3e483c8d6ef2175e9d395a6027eb92b7"
SOURCES = {
    source.name: source
    for source in (
        Source("sample", "drawn pets", SAMPLE, "MIT", 7_177_183, (200, 150), SAMPLE_SHA256),
        Source("photos", "3,000 photographs", PHOTOS, ASIRRA, 68_606_236, (1_000, 500)),
        Source("full", "25,000 photographs", FULL, ASIRRA, 839_285_364, (11_500, 1_000), None, MD5),
    )
}


def find_source(settings: Settings) -> Source:
    """The source that `settings.data` names: one of SOURCES, or a folder, an archive or its URL.

    "~" is the home folder; "./full" is a folder of that name. Raises CourseError for anything else.
    """
    data = settings.data.strip()
    source = SOURCES.get(data)
    with contextlib.suppress(ValueError):  # brackets that are no IPv6 address
        url = urlsplit(data)
        if url.scheme in ("http", "https") and url.hostname:
            source = _describe_own(url.geturl(), PurePosixPath(unquote(url.path)).name)
    if source:
        mirrors = [f"{settings.mirror.rstrip('/')}/{source.file_name}"] if settings.mirror else []
        return replace(source, addresses=(*mirrors * source.is_remote, *source.addresses))
    path = Path(data).expanduser().resolve()
    if not data or not path.exists():
        raise CourseError(
            f"There is no dataset, folder or archive '{data}' (looked at {path}): give "
            f"{', '.join(SOURCES)}, a folder, the path of an archive (.zip, .tar, .tgz), or the "
            "http(s) URL of one."
        )
    return _describe_own(str(path), path.name)


def _describe_own(address: str, title: str) -> Source:
    slug = re.sub(r"\W+", "-", title.partition(".")[0], flags=re.ASCII).strip("-")[:40] or "data"
    digest = hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()
    return Source(f"{slug}-{digest[:8]}", title, (address,))
