"""One file from one of several addresses: resumed where it broke off, never two halves of two."""

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from tqdm.auto import tqdm

from utils.files import describe_write_error, put_aside, read_json, require_space, write_json

CONNECT_TIMEOUT = 10.0  # seconds
STALL_TIMEOUT = 30.0  # seconds without a byte
BACK_OFF = (1.0, 2.0, 4.0)  # seconds before each further try; one that got on starts over
CHUNK = 1 << 14  # bytes read at a time; as many are lost when the connection is
BUSY = (408, 425, 429, 500, 502, 503, 504)  # HTTP status of servers that are busy or starting
UNTRUSTED = (
    "offers no secure connection that this computer trusts: check the computer's clock, a proxy or "
    "login page in between, and the installed certificates"
)


class AddressError(Exception):
    """This address is of no use, and why, as the end of a sentence that begins with it."""


class BrokenOffError(Exception):
    """This try failed, and another one may do."""


def fetch_file(
    addresses: tuple[str, ...], target: Path, size: int | None, find_fault: Callable
) -> None:
    """Download to `target` from the first address that has the right file, of `size` bytes.

    Each address has a partial file of its own, to go on with in the next call. `find_fault` says
    what is wrong with a complete file's path, as the end of a sentence, or None.
    Raises AddressError with the reason for each address, CourseError where the disk is full.
    """
    reasons = []
    for number, url in enumerate(addresses):
        part = target.with_name(f"{target.name}.{number}.part")
        try:
            _download(url, part, size)
            if fault := find_fault(part):
                aside = put_aside(part, "damaged").name
                raise AddressError(f"sent a file that {fault}, kept as {aside}")
            part.replace(target)
            for leftover in target.parent.glob(f"{target.name}.?.part*"):
                leftover.unlink()
            return
        except AddressError as error:
            parts = urlsplit(url)  # without what may hold a password or a token
            host = parts.netloc.rpartition("@")[2]
            reasons.append(f"{parts.scheme}://{host}{parts.path} {error}")
    raise AddressError("; ".join(reasons))


def _download(url: str, part: Path, size: int | None) -> None:
    furthest, failures = 0, 0
    faults = BrokenOffError, requests.RequestException, urllib3.exceptions.HTTPError
    with tqdm(desc="downloading", total=size, unit="B", unit_scale=True, leave=False) as bar:
        while True:
            try:
                return _receive(url, part, size, bar)
            except faults as error:
                have = part.stat().st_size if part.exists() else 0
                if have > furthest:
                    furthest, failures = have, 0
                hopeless = isinstance(error, (requests.exceptions.SSLError, ValueError))
                if hopeless or failures == len(BACK_OFF):
                    raise AddressError(_describe_fault(error)) from error
                bar.set_postfix_str(f"{_describe_fault(error)}, trying again")
                time.sleep(BACK_OFF[failures])
                failures += 1
            except OSError as error:
                raise describe_write_error(error, part.parent) from error


def _receive(url: str, part: Path, size: int | None, bar: tqdm) -> None:
    """One request for what is missing of `part`; a file beside it notes which version that is."""
    notes = part.with_name(f"{part.name}.json")
    known = read_json(notes)
    have = part.stat().st_size if part.exists() and known.get("url") == url else 0
    if have and have == known["total"]:
        return  # killed between the last byte and the renaming
    headers = {"Accept-Encoding": "identity"}
    if have and known["version"]:
        headers |= {"Range": f"bytes={have}-", "If-Range": known["version"]}
    waits = CONNECT_TIMEOUT, STALL_TIMEOUT
    with requests.get(url, headers=headers, stream=True, timeout=waits) as response:
        status = response.status_code
        if status in BUSY or status not in (200, 206, 416):
            fault = BrokenOffError if status in BUSY else AddressError
            raise fault(f"answered {status} {response.reason}")
        # A weak ETag promises the same meaning, not the same bytes: it is no version.
        etag, start = response.headers.get("ETag", ""), 0
        version = etag if etag.startswith('"') else response.headers.get("Last-Modified")
        length = response.headers.get("Content-Length", "")
        if status != 200:
            span, _, length = response.headers.get("Content-Range", "").rpartition("/")
            start = have if span.startswith(f"bytes {have}-") else -1
        total = int(length) if length.isdecimal() else None
        if start and (start < 0 or (version, total) != (known["version"], known["total"] or total)):
            part.unlink(missing_ok=True)
            raise BrokenOffError("changed its file during the download")
        if total is not None and size is not None and total != size:
            raise AddressError(f"has a file of {total:,} bytes instead of {size:,}")
        if whole := total or size:  # photographs hardly shrink: unpacked they take as much again
            require_space(part.parent, 2 * whole - start, "downloading and unpacking the file")
        bar.total = whole
        bar.update(start - bar.n)
        # As they came: a .tgz that is labelled as gzip-encoded must not be unpacked here.
        blocks = response.raw.stream(CHUNK, decode_content=False)
        first = next(blocks, b"")
        if not start and first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise AddressError("sent a web page instead of the file, perhaps a login page")
        if not start:  # the old part goes first, or a kill here would give it a new version
            part.unlink(missing_ok=True)
        write_json(notes, {"url": url, "version": version, "total": total})
        with part.open("ab") as file:
            bar.update(file.write(first))
            for block in blocks:
                bar.update(file.write(block))
            have = file.tell()
    if have < (whole or 1):
        raise BrokenOffError(f"sent {have:,} of {whole or 'unknown'} bytes and stopped")


def _describe_fault(error: Exception) -> str:
    reason = getattr((error.args or [None])[0], "reason", None)
    if isinstance(error, BrokenOffError):
        return str(error)
    if isinstance(error, requests.exceptions.SSLError):
        return UNTRUSTED
    if isinstance(error, requests.exceptions.ProxyError):
        return "cannot be reached through the proxy that is set"
    if isinstance(error, (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)):
        return f"sent nothing for {STALL_TIMEOUT:g} seconds"
    if isinstance(error, ValueError):
        return f"cannot be asked ({type(error).__name__})"
    never_open = urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError
    return "cannot be reached" if isinstance(reason, never_open) else "dropped the connection"
