"""One URL into one file: resumed where it broke off, and never two versions glued together."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from utils.archives import recognise_archive
from utils.disk import describe_write_error, format_bytes, make_bar
from utils.files import read_json, write_json
from utils.settings import find_mirror

CONNECT_TIMEOUT = 10.0  # seconds
STALL_TIMEOUT = 30.0  # seconds without a byte
BACK_OFF = (1.0, 2.0, 4.0, 8.0)  # seconds before each further try; a try that got on starts over
PROGRESS = 1 << 20  # bytes that count as getting on
CHUNK = 1 << 14  # bytes read at a time; as many are lost when the connection is
TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # HTTP status of servers that are busy or starting


class MirrorError(Exception):
    """This address is of no use, and why, as the end of a sentence that begins with the address."""


class BrokenOffError(Exception):
    """This try failed; another one may do."""


class UnreachableError(BrokenOffError):
    """There was no connection at all: offline, most likely, and not to be waited for long."""


def show_address(url: str) -> str:
    """A URL without the parts that may hold a password or a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def state_path(part: Path) -> Path:
    """The file beside a partial file that tells which version of what it is the beginning of."""
    return part.with_name(part.name + ".json")


def transfer_first(
    addresses: Iterable[str],
    part: Path,
    expected: int | None,
    reserve: Callable[[int, int], None],
    find_fault: Callable[[Path], str | None],
    recognise: Callable[[bytes], object] = recognise_archive,
) -> None:
    """Download into `part` from the first of the addresses that has the right file.

    `find_fault` says what is wrong with a complete file, as the end of a sentence, or None; for the
    others see `transfer`. Raises MirrorError with the reason for each address if none is of use.
    """
    mirror = find_mirror()
    begun_at = read_json(state_path(part)).get("url")

    def rank(url: str) -> tuple[bool, bool]:
        # A classroom's mirror goes first; then the address that a partial file came from, since
        # no other could go on with it.
        return not (mirror and url.startswith(f"{mirror}/")), url != begun_at

    reasons = []
    for url in sorted(addresses, key=rank):
        try:
            transfer(url, part, expected, reserve, recognise)
            if fault := find_fault(part):
                part.unlink()
                state_path(part).unlink(missing_ok=True)
                raise MirrorError(f"sent a file that {fault}")
            return
        except MirrorError as error:
            reasons.append(f"{show_address(url)} {error}")
    raise MirrorError("; ".join(reasons))


def transfer(
    url: str,
    part: Path,
    expected: int | None,
    reserve: Callable[[int, int], None],
    recognise: Callable[[bytes], object] = recognise_archive,
) -> None:
    """Download `url` into `part`, going on where an earlier try of the same version stopped.

    `expected` is the published size in bytes; `reserve(remaining, total)` is called before the
    first byte and raises CourseError if the disk lacks the room; `recognise` is falsy for a file's
    beginning that cannot be right. An interrupted call leaves `part` to be resumed.
    Raises MirrorError with the reason if this address is of no use.
    """
    furthest, failures = 0, 0
    with make_bar(expected, f"downloading {part.stem}") as bar:
        while True:
            try:
                return _receive(url, part, expected, reserve, recognise, bar)
            except BrokenOffError as error:
                size = part.stat().st_size if part.exists() else 0
                if size >= furthest + PROGRESS:
                    furthest, failures = size, 0
                unreachable = isinstance(error, UnreachableError) and not furthest
                if failures == (min(1, len(BACK_OFF)) if unreachable else len(BACK_OFF)):
                    raise MirrorError(str(error)) from error
                bar.set_postfix_str(f"{error}, trying again")
                time.sleep(BACK_OFF[failures])
                failures += 1


def _receive(
    url: str, part: Path, expected: int | None, reserve: Callable, recognise: Callable, bar
) -> None:
    state = read_json(state_path(part))
    validator = state.get("etag") or state.get("last_modified")
    have = part.stat().st_size if part.exists() and state.get("url") == url and validator else 0
    if have and have == state.get("total"):
        return  # killed between the last byte and the renaming
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with _open(url, headers) as response:
        if response.status_code in (206, 416) and not _continues(response, url, state, have):
            part.unlink(missing_ok=True)
            raise BrokenOffError("changed its file during the download")
        if response.status_code in TRY_AGAIN:
            raise BrokenOffError(f"answered {response.status_code} {response.reason}")
        if response.status_code not in (200, 206):
            raise MirrorError(f"answered {response.status_code} {response.reason}")
        identity = _identify(response, url)
        have = identity.pop("start")
        blocks = _read_blocks(response)
        beginning = b""
        if not have:
            while len(beginning) < 512 and (block := next(blocks, b"")):
                beginning += block
            _check_beginning(beginning, recognise)
        total = identity["total"]
        if total is not None and expected is not None and total != expected:
            raise MirrorError(f"has a file of {total:,} bytes instead of {expected:,}")
        known = total or expected
        if known:
            reserve(known - have, known)
        bar.total = known
        bar.update(have - bar.n)
        try:
            if not have:  # first, or a kill right here would leave an old part with a new identity
                part.unlink(missing_ok=True)
            write_json(state_path(part), identity)
            with part.open("ab") as file:
                bar.update(file.write(beginning))
                for block in blocks:
                    bar.update(file.write(block))
        except OSError as error:
            raise describe_write_error(error, part.parent) from error
    size = part.stat().st_size
    if known and size < known:
        raise BrokenOffError(f"sent {format_bytes(size)} of {format_bytes(known)} and stopped")


def _open(url: str, headers: dict) -> requests.Response:
    timeouts = (CONNECT_TIMEOUT, STALL_TIMEOUT)
    try:
        return requests.get(url, headers=headers, stream=True, timeout=timeouts)
    except requests.exceptions.SSLError as error:
        raise MirrorError(
            "offers no secure connection that this computer trusts: check the computer's clock, a "
            "proxy or login page in between, and the installed certificates"
        ) from error
    except requests.exceptions.ProxyError as error:
        raise UnreachableError("cannot be reached through the proxy that is set") from error
    except requests.exceptions.ReadTimeout as error:
        raise BrokenOffError(f"sent nothing for {STALL_TIMEOUT:g} seconds") from error
    except requests.exceptions.ConnectionError as error:
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        never_open = urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError
        if isinstance(reason, never_open):
            raise UnreachableError("cannot be reached") from error
        raise BrokenOffError("dropped the connection") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise MirrorError(f"cannot be asked ({type(error).__name__})") from error


def _identify(response: requests.Response, url: str) -> dict:
    """Which version of the file this is, how long it is, and where this answer starts in it.

    A weak ETag promises the same meaning, not the same bytes: it is no identity.
    """
    etag = response.headers.get("ETag", "")
    start, total = 0, response.headers.get("Content-Length", "")
    if response.status_code == 206:
        span, _, total = response.headers.get("Content-Range", "").rpartition("/")
        first = span.removeprefix("bytes ").partition("-")[0]
        start = int(first) if first.isdecimal() else -1
    return {
        "url": url,
        "etag": etag if etag.startswith('"') else None,
        "last_modified": response.headers.get("Last-Modified"),
        "total": int(total) if total.isdecimal() else None,
        "start": start,
    }


def _continues(response: requests.Response, url: str, state: dict, have: int) -> bool:
    """Whether a partial answer is the rest of the version that the partial file began."""
    expected, found = state | {"start": have}, _identify(response, url)
    if expected.get("total") is None:  # the first answer did not tell its length
        expected["total"] = found["total"]
    return found == expected


def _read_blocks(response: requests.Response) -> Iterator[bytes]:
    """The bytes as they came: a .tgz that is labelled as gzip-encoded must not be unpacked here."""
    try:
        yield from response.raw.stream(CHUNK, decode_content=False)
    except urllib3.exceptions.ReadTimeoutError as error:
        raise BrokenOffError(f"sent nothing for {STALL_TIMEOUT:g} seconds") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise BrokenOffError("dropped the connection") from error


def _check_beginning(beginning: bytes, recognise: Callable[[bytes], object]) -> None:
    if not beginning:
        raise BrokenOffError("sent nothing")
    if recognise(beginning):
        return
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise MirrorError("sent a web page instead of the file, a network's login page perhaps")
    raise MirrorError("sent something else than the file")
