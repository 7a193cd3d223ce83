"""A web server on 127.0.0.1 that fails on command, and archives to serve.

with serve({"pets.tgz": content}) as server:
    server.script = [Answer(status=503), Answer(drop_after=1000)]   # one for each request to come
    fetch(f"{server.url}/pets.tgz")
    assert server.requests[-1].range == "bytes=1000-"
"""

import contextlib
import io
import random
import socket
import ssl
import struct
import tarfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

from utils.settings import Settings

BLOCK = 1 << 14


@dataclass(frozen=True)
class Answer:
    """How one request is answered; as it stands, correctly."""

    status: int | None = None  # instead of 200 or 206
    body: bytes | None = None  # instead of the file
    ranges: bool = True  # whether Range is understood
    if_range: bool = True  # whether If-Range is
    length: bool = True  # whether there is a Content-Length
    chunked: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    drop_after: int | None = None  # bytes of the body, then the connection is reset
    end_after: int | None = None  # bytes of the body, then the connection is closed in good order
    stall_after: int | None = None  # bytes of the body, then nothing comes any more
    pause: float = 0.0  # seconds after every 16 kB


@dataclass(frozen=True)
class Request:
    path: str
    range: str | None


@dataclass
class Loopback:
    """The running server. All but the `url` may be changed at any time."""

    url: str
    files: dict[str, bytes]
    version: str = "1"  # the ETag of all files
    modified: str | None = None  # their Last-Modified
    script: list[Answer] = field(default_factory=list)  # the answers to come, one a request
    usual: Answer = field(default_factory=Answer)  # when the script is over
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def serve(files: dict[str, bytes], certificate: Path | None = None) -> Iterator[Loopback]:
    """Serve `files` until the block ends; over TLS with a `certificate` (PEM, with its key)."""
    state = Loopback("", dict(files))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.requests.append(Request(self.path, self.headers.get("Range")))
            answer = state.script.pop(0) if state.script else state.usual
            # A client that was interrupted or has given up is no fault of the server.
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                send_answer(self, state, answer)

        def log_message(self, *arguments) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # connections that a client or this server has reset
    scheme = "http"
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        scheme = "https"
    state.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def send_answer(handler: BaseHTTPRequestHandler, state: Loopback, answer: Answer) -> None:
    content = state.files.get(handler.path.lstrip("/").partition("?")[0])
    if content is None and answer.status is None:
        answer = replace(answer, status=404)
    status, start = answer.status or 200, 0
    validators = {'"' + state.version + '"', state.modified} if state.version else {state.modified}
    asked = handler.headers.get("Range")
    unchanged = handler.headers.get("If-Range") in {None, *validators} or not answer.if_range
    if answer.body is None and answer.status is None and asked and answer.ranges and unchanged:
        start = int(asked.removeprefix("bytes=").partition("-")[0])
        status = 206 if start < len(content) else 416
    if answer.body is not None:
        body = answer.body
    else:
        body = content[start:] if status in (200, 206) else b"no such thing"
    handler.send_response(status)
    if status == 206:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    if status == 416:
        handler.send_header("Content-Range", f"bytes */{len(content)}")
    if status in (200, 206):
        if state.version:
            handler.send_header("ETag", f'"{state.version}"')
        if state.modified:
            handler.send_header("Last-Modified", state.modified)
    for name, value in answer.headers:
        handler.send_header(name, value)
    if answer.chunked:
        handler.send_header("Transfer-Encoding", "chunked")
    elif answer.length:
        handler.send_header("Content-Length", str(len(body)))
    else:
        handler.send_header("Connection", "close")
    handler.end_headers()
    limits = [limit for limit in (answer.drop_after, answer.end_after, answer.stall_after) if limit]
    nothing = 0 in (answer.drop_after, answer.end_after, answer.stall_after)
    body = b"" if nothing else body[: min(limits, default=len(body))]
    for first in range(0, len(body), BLOCK):
        block = body[first : first + BLOCK]
        if answer.chunked:
            block = f"{len(block):x}\r\n".encode() + block + b"\r\n"
        handler.wfile.write(block)
        if answer.pause:
            time.sleep(answer.pause)
    handler.wfile.flush()
    if answer.stall_after is not None:
        state.closing.wait(20)
    if answer.drop_after is not None:
        time.sleep(0.05)  # else the reset overtakes the bytes on their way
        linger = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        handler.close_connection = True
        handler.connection.close()
    elif answer.chunked and answer.end_after is None:
        handler.wfile.write(b"0\r\n\r\n")
    if not answer.length or answer.end_after is not None or answer.stall_after is not None:
        handler.close_connection = True


def make_image(seed: int | str, side: int = 24) -> bytes:
    """A PNG of noise, about 1,800 bytes that no packer makes smaller."""
    pixels = random.Random(seed).randbytes(3 * side * side)
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(file, "PNG")
    return file.getvalue()


def make_images(
    seed: int = 0, train: int = 3, test: int = 2, top: str = "pets/", parts=("train", "valid")
) -> dict[str, bytes]:
    """Files of a dataset of cats and dogs, name → bytes."""
    return {
        f"{top}{part}/{name}/{name}.{index}.png": make_image(f"{seed} {part} {name} {index}")
        for part, number in zip(parts, (train, test), strict=True)
        for name in ("cats", "dogs")
        for index in range(number)
    }


def write_files(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def make_settings(home: Path, data: Path | str, **others) -> Settings:
    """The settings of somebody whose course lies in `home`, made without a word."""
    usual = dict.fromkeys(field.name for field in fields(Settings))
    usual |= {"profile": "sample", "backbone": "efficientnet_lite0", "device": "cpu"}
    usual |= {"validation_share": 0.3}
    return Settings(**usual | {"home": home, "data": str(data)} | others)


def count_tree(tree: Path) -> dict[str, dict[str, int]]:
    """What plain ImageFolder finds in a tree and can open: part → class → images."""
    from torchvision.datasets import ImageFolder  # takes seconds, and only some need it

    counts = {}
    for part in ("train", "valid"):
        folder = ImageFolder(tree / part)
        found = Counter(folder.classes[label] for image, label in folder if image.mode == "RGB")
        counts[part] = dict(sorted(found.items()))
    return counts


def pack_tar(
    files: dict[str, bytes], members: tuple[tarfile.TarInfo, ...] = (), mode: str = "w:gz"
) -> bytes:
    """A tar of these files, all of 2013, and of further members without content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_380_000_000
            archive.addfile(info, io.BytesIO(content))
        for info in members:
            archive.addfile(info)
    return buffer.getvalue()


def pack_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def list_files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder: relative name → bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
