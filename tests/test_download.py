"""Downloads that fail in every way a classroom knows; faults have the design's numbers."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Answer, Loopback, list_files, make_pictures, pack_tar, pack_zip, serve
from patience import HANG, wait_until

from utils import disk, download, files, transfer
from utils.download import fetch_dataset, main
from utils.errors import CourseError
from utils.settings import ROOT
from utils.sources import Source, find_source

PICTURES = make_pictures(train=20, test=10)  # 120 kB, 2 kB each
ARCHIVE = pack_tar(PICTURES)
pytestmark = pytest.mark.usefixtures("hurry")
KEPT = 3 * transfer.CHUNK  # a place to break off at from which every byte was kept


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve({"pets.tgz": ARCHIVE}) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def make_source(*urls: str, content: bytes | None = None, **checks) -> Source:
    """A source named pets; with the published size and sha256 of `content`, if it is given."""
    if content is not None:
        checks = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} | checks
    nothing = dict.fromkeys(("bytes", "sha256", "md5_first_mebibyte", "counts"))
    words = {"licence": "MIT", "origin": "made by a test", "title": "pets"}
    return Source(name="pets", addresses=urls, **(nothing | words | checks))


def fail_to_fetch(source: Source, home: Path) -> str:
    """The sentence that the user sees: one, without a line break, and nothing in use afterwards."""
    with pytest.raises(CourseError) as caught:
        fetch_dataset(source, home)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    assert not (home / "datasets").exists() or not list((home / "datasets").iterdir())
    return sentence


def assert_whole(home: Path, pictures: dict[str, bytes] = PICTURES) -> None:
    """The dataset is there to the last byte, and nothing else is left in the home folder."""
    unpacked = list_files(home / "datasets" / "pets")
    del unpacked[".complete.json"]
    assert unpacked == pictures
    assert [path.name for path in (home / "datasets").iterdir()] == ["pets"]
    kinds = {path.suffix for path in (home / "downloads").iterdir()}
    assert kinds <= {".lock", ".sha256"}


def run_python(code: str, *arguments: str, **options) -> subprocess.Popen:
    """A Python process of its own that fetches; `source` and `home` are made from its arguments."""
    beginning = (
        "import sys; from pathlib import Path\n"
        "from utils import archives, download, transfer, unpack\n"
        "from utils.errors import CourseError\n"
        "from utils.sources import find_source\n"
        "source, home = find_source(sys.argv[1]), Path(sys.argv[2])\n"
        "transfer.BACK_OFF = (0.05, 0.05)\n"
        f"transfer.STALL_TIMEOUT = {HANG}\n"  # a test that stalls it wants it to wait
    )
    prefix = options.pop("prefix", [])
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", beginning + code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


FETCH = """
try:
    print(download.fetch_dataset(source, home).train)
except CourseError as error:
    sys.exit(str(error))
"""


def test_download_is_checked_unpacked_and_cleared_away(server: Loopback, home: Path) -> None:
    folders = fetch_dataset(make_source(f"{server.url}/pets.tgz"), home)
    assert_whole(home)
    assert folders.train == home / "datasets" / "pets" / "dogscats" / "train"
    assert folders.test == home / "datasets" / "pets" / "dogscats" / "valid"
    recorded = (home / "downloads" / "pets.tgz.sha256").read_text()
    assert recorded == f"{hashlib.sha256(ARCHIVE).hexdigest()}  pets.tgz\n"


@pytest.mark.parametrize("mode", ["w:", "zip"])
def test_plain_tar_and_zip_are_downloaded_too(mode: str, server: Loopback, home: Path) -> None:
    name, content = (
        ("p.zip", pack_zip(PICTURES)) if mode == "zip" else ("p.tar", pack_tar(PICTURES, (), mode))
    )
    server.files[name] = content
    fetch_dataset(make_source(f"{server.url}/{name}"), home)
    assert_whole(home)


def test_archive_labelled_as_compressed_content_arrives_as_it_is(
    server: Loopback, home: Path
) -> None:
    server.usual = Answer(headers=(("Content-Encoding", "gzip"),))
    fetch_dataset(make_source(f"{server.url}/pets.tgz", content=ARCHIVE), home)
    assert_whole(home)


def test_file_put_by_hand_is_checked_used_and_kept(home: Path) -> None:
    source = make_source("http://127.0.0.1:9/pets.tgz", content=ARCHIVE)
    by_hand = home / "downloads" / "pets.tgz"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(ARCHIVE[:-1])
    assert f"{by_hand} has {len(ARCHIVE) - 1:,} bytes" in fail_to_fetch(source, home)
    by_hand.write_bytes(ARCHIVE[:-1] + b"?")
    assert f"{by_hand} has the wrong checksum" in fail_to_fetch(source, home)
    by_hand.write_bytes(ARCHIVE)
    fetch_dataset(source, home)
    assert by_hand.read_bytes() == ARCHIVE
    by_hand.unlink()
    assert_whole(home)


def test_file_put_by_hand_without_published_checks_is_kept_when_damaged(home: Path) -> None:
    by_hand = home / "downloads" / "pets.tgz"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(ARCHIVE[:-100])
    sentence = fail_to_fetch(make_source("http://127.0.0.1:9/pets.tgz"), home)
    assert f"{by_hand} is damaged or incomplete" in sentence and "deleted" not in sentence
    assert by_hand.exists()


def test_credentials_in_an_address_are_not_shown(home: Path) -> None:
    sentence = fail_to_fetch(make_source("http://me:abc123@127.0.0.1:9/pets.tgz?key=xyz789"), home)
    assert "http://127.0.0.1:9/pets.tgz " in sentence
    assert "abc123" not in sentence and "xyz789" not in sentence


def test_fault_01_offline_with_a_valid_dataset(server: Loopback, home: Path) -> None:
    source = make_source(f"{server.url}/pets.tgz")
    first = fetch_dataset(source, home)
    server.usual = Answer(status=500)
    before = os.stat(home / "downloads").st_mtime_ns
    assert fetch_dataset(source, home) == first
    assert len(server.requests) == 1
    assert os.stat(home / "downloads").st_mtime_ns == before


def test_fault_02_offline_without_a_dataset(home: Path, pauses: list[float]) -> None:
    # Port 9 of this machine refuses; a name under .invalid is in no directory (RFC 2606).
    source = make_source("http://127.0.0.1:9/pets.tgz", "http://mirror.invalid/pets.tgz")
    sentence = fail_to_fetch(source, home)
    # Offline is not waited for long: each address is tried once more, soon.
    assert pauses == [transfer.BACK_OFF[0]] * 2
    for address in source.addresses:
        assert f"{address} cannot be reached" in sentence
    assert "COURSE_DATA" in sentence and "COURSE_PROFILE=sample" in sentence
    assert str(home / "downloads" / "pets.tgz") in sentence


@pytest.mark.parametrize("status", [403, 404])
def test_fault_03_missing_file_next_mirror(status: int, server: Loopback, home: Path) -> None:
    server.script = [Answer(status=status)]
    source = make_source(f"{server.url}/gone/pets.tgz", f"{server.url}/pets.tgz")
    fetch_dataset(source, home)
    assert [request.path for request in server.requests] == ["/gone/pets.tgz", "/pets.tgz"]
    assert_whole(home)


def test_fault_03_all_mirrors_missing(server: Loopback, home: Path) -> None:
    server.script = [Answer(status=404), Answer(status=403)]
    sentence = fail_to_fetch(make_source(f"{server.url}/a.tgz", f"{server.url}/b.tgz"), home)
    assert "/a.tgz answered 404 Not Found; " in sentence and "/b.tgz answered 403 " in sentence


def test_busy_server_is_asked_again(server: Loopback, home: Path) -> None:
    server.script = [Answer(status=503), Answer(status=429)]
    fetch_dataset(make_source(f"{server.url}/pets.tgz"), home)
    assert_whole(home)


@pytest.mark.parametrize(
    "url", ["http://a..b/pets.tgz", f"http://{'a' * 70}.b/pets.tgz", "http://a:99999/pets.tgz"]
)
def test_fault_02_address_that_cannot_be(url: str, home: Path) -> None:
    assert f"{url} cannot be " in fail_to_fetch(make_source(url), home)


def test_fault_02_proxy_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    sentence = fail_to_fetch(make_source("http://mirror.invalid/pets.tgz"), home)
    assert "cannot be reached through the proxy" in sentence


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody has signed but itself."""
    if not shutil.which("openssl"):
        pytest.skip("makes its certificate with the openssl command, which is not installed")
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run(
        [*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_fault_04_untrusted_certificate(
    certificate: Path, server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve({"pets.tgz": ARCHIVE}, certificate) as secure:
        sentence = fail_to_fetch(make_source(f"{secure.url}/pets.tgz"), home)
        assert "clock" in sentence and "proxy" in sentence and "certificates" in sentence
        assert not secure.requests
        fetch_dataset(make_source(f"{secure.url}/pets.tgz", f"{server.url}/pets.tgz"), home)
        assert_whole(home)
        # The same server passes once its certificate is trusted: nothing else was wrong with it.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{certificate}.crt")
        fetch_dataset(make_source(f"{secure.url}/pets.tgz", content=ARCHIVE), home)
        assert len(secure.requests) == 1


def test_fault_05_web_page_with_status_200(server: Loopback, home: Path) -> None:
    page = Answer(body=b"\n<!DOCTYPE html><html>Welcome to the network" + b" " * len(ARCHIVE))
    server.script = [page]
    sentence = fail_to_fetch(make_source(f"{server.url}/pets.tgz"), home)
    assert "sent a web page instead of the file" in sentence
    assert not list((home / "downloads").glob("*.part"))
    server.script = [page]
    fetch_dataset(make_source(f"{server.url}/login/pets.tgz", f"{server.url}/pets.tgz"), home)
    assert_whole(home)


def test_fault_05_something_else_with_status_200(server: Loopback, home: Path) -> None:
    server.script = [Answer(body=b'{"error": "not today"}')]
    sentence = fail_to_fetch(make_source(f"{server.url}/pets.tgz"), home)
    assert "sent something else than the file" in sentence


@pytest.mark.parametrize("length", [True, False], ids=["declared", "undeclared"])
def test_fault_06_short_body(length: bool, server: Loopback, home: Path) -> None:
    server.script = [Answer(end_after=KEPT, length=length)]
    fetch_dataset(make_source(f"{server.url}/pets.tgz", bytes=len(ARCHIVE)), home)
    assert [request.range for request in server.requests] == [None, f"bytes={KEPT}-"]
    assert_whole(home)


def test_fault_06_always_too_short(server: Loopback, home: Path) -> None:
    server.usual = Answer(end_after=transfer.CHUNK, ranges=False, length=False)
    sentence = fail_to_fetch(make_source(f"{server.url}/pets.tgz", bytes=len(ARCHIVE)), home)
    assert f"sent 16.4 kB of {len(ARCHIVE) / 1000:.1f} kB and stopped" in sentence
    assert len(server.requests) == 1 + len(transfer.BACK_OFF)


def test_fault_07_stall_is_noticed_and_resumed(
    server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says nothing more until the test is over: only who gives it up gets on."""
    monkeypatch.setattr(transfer, "STALL_TIMEOUT", 1.0)
    server.script = [Answer(stall_after=KEPT), Answer(stall_after=0)]
    fetch_dataset(make_source(f"{server.url}/pets.tgz"), home)
    # A fourth, if this machine itself has stalled for a second.
    assert len(server.requests) >= 3 and server.requests[2].range.startswith("bytes=")
    assert_whole(home)


def test_fault_07_server_that_never_answers(
    server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "STALL_TIMEOUT", 0.4)
    server.usual = Answer(stall_after=0)
    sentence = fail_to_fetch(make_source(f"{server.url}/pets.tgz"), home)
    assert "sent nothing for 0.4 seconds" in sentence


@pytest.mark.parametrize("chunked", [False, True])
def test_fault_08_dropped_connection_is_resumed(
    chunked: bool, server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "BACK_OFF", (0.01,))
    # More drops than tries, each of which got on: patience is for tries that bring nothing.
    server.script = [
        Answer(drop_after=2 * transfer.CHUNK, chunked=chunked and not n) for n in range(3)
    ]
    fetch_dataset(make_source(f"{server.url}/pets.tgz", content=ARCHIVE), home)
    ranges = [request.range for request in server.requests]
    assert ranges[0] is None and (chunked or all(ranges[1:]))
    assert_whole(home)


def test_fault_08_gives_up_and_goes_on_in_the_next_call(server: Loopback, home: Path) -> None:
    url = f"{server.url}/pets.tgz"
    server.usual = Answer(drop_after=0)
    server.script = [Answer(drop_after=KEPT)]
    assert "dropped the connection" in fail_to_fetch(make_source(url), home)
    assert (home / "downloads" / "pets.tgz.part").read_bytes() == ARCHIVE[:KEPT]
    server.usual = Answer()
    del server.requests[:]
    # The mirror that began goes first, since no other can go on with its file.
    fetch_dataset(make_source(f"{server.url}/other/pets.tgz", url), home)
    assert [(request.path, request.range) for request in server.requests] == [
        ("/pets.tgz", f"bytes={KEPT}-")
    ]
    assert_whole(home)


def test_fault_08_useless_mirror_does_not_spoil_the_partial_file(
    server: Loopback, home: Path
) -> None:
    url = f"{server.url}/pets.tgz"
    server.script = [Answer(drop_after=KEPT)] + [Answer(drop_after=0)] * 3
    source = make_source(url, f"{server.url}/gone.tgz")
    fail_to_fetch(source, home)
    fetch_dataset(source, home)
    assert server.requests[-1].range == f"bytes={KEPT}-"
    assert_whole(home)


def test_fault_09_server_without_range(server: Loopback, home: Path) -> None:
    server.script = [Answer(drop_after=KEPT)]
    server.usual = Answer(ranges=False)
    fetch_dataset(make_source(f"{server.url}/pets.tgz"), home)
    assert [request.range for request in server.requests] == [None, f"bytes={KEPT}-"]
    assert_whole(home)


@pytest.mark.parametrize("if_range", [True, False], ids=["polite", "ignores If-Range"])
@pytest.mark.parametrize("validator", ["etag", "date", "none"])
def test_fault_10_remote_changed_since_the_partial_file(
    if_range: bool, validator: str, server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Plain tars of one length: neither size nor checksum would betray two halves glued together.
    old, new = make_pictures(seed=1, train=20), make_pictures(seed=2, train=20)
    first, second = pack_tar(old, (), "w:"), pack_tar(new, (), "w:")
    assert len(first) == len(second)
    server.files["pets.tar"] = first
    server.version = "1" if validator == "etag" else ""
    server.modified = "Fri, 27 Sep 2013 10:00:00 GMT" if validator == "date" else None
    source = make_source(f"{server.url}/pets.tar")
    server.script = [Answer(drop_after=KEPT)]
    server.usual = Answer(status=503)
    fail_to_fetch(source, home)
    assert (home / "downloads" / "pets.tar.part").stat().st_size == KEPT
    server.files["pets.tar"] = second
    server.version = server.version and "2"
    server.modified = server.modified and "Sat, 28 Sep 2013 10:00:00 GMT"
    server.usual = Answer(if_range=if_range)
    fetch_dataset(source, home)
    assert_whole(home, new)


def test_fault_10_killed_while_the_old_part_is_replaced(
    server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make_pictures(seed=1, train=20), make_pictures(seed=2, train=20)
    server.files["pets.tar"] = pack_tar(old, (), "w:")
    source = make_source(f"{server.url}/pets.tar")
    server.script = [Answer(drop_after=KEPT)]
    server.usual = Answer(status=503)
    fail_to_fetch(source, home)
    server.files["pets.tar"], server.version = pack_tar(new, (), "w:"), "2"
    server.usual = Answer()

    def write_and_die(*arguments) -> None:
        files.write_json(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "write_json", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            fetch_dataset(source, home)
    fetch_dataset(source, home)
    assert_whole(home, new)


def test_fault_10_remote_became_shorter(server: Loopback, home: Path) -> None:
    server.script = [Answer(drop_after=len(ARCHIVE) - 1)]
    server.usual = Answer(status=503)
    source = make_source(f"{server.url}/pets.tgz")
    fail_to_fetch(source, home)
    smaller = make_pictures(train=5)
    server.files["pets.tgz"] = pack_tar(smaller)
    server.version = "2"
    server.usual = Answer(if_range=False)  # answers 416
    fetch_dataset(source, home)
    assert_whole(home, smaller)


def test_fault_11_wrong_checksum_next_mirror(server: Loopback, home: Path) -> None:
    server.files["bad.tgz"] = ARCHIVE[:60_000] + b"?" + ARCHIVE[60_001:]
    urls = f"{server.url}/bad.tgz", f"{server.url}/pets.tgz"
    sentence = fail_to_fetch(make_source(urls[0], content=ARCHIVE), home)
    assert "sent a file that has the wrong checksum (sha256 " in sentence
    assert not list((home / "downloads").glob("*.part"))
    fetch_dataset(make_source(*urls, content=ARCHIVE), home)
    assert_whole(home)


def test_fault_11_wrong_first_mebibyte_or_size(server: Loopback, home: Path) -> None:
    url = f"{server.url}/pets.tgz"
    sentence = fail_to_fetch(make_source(url, md5_first_mebibyte="3e483c8d"), home)
    assert "md5 of its first mebibyte" in sentence
    sentence = fail_to_fetch(make_source(url, bytes=1_000_000), home)
    assert f"has a file of {len(ARCHIVE):,} bytes instead of 1,000,000" in sentence
    right = hashlib.md5(ARCHIVE[: 1 << 20]).hexdigest()
    fetch_dataset(make_source(url, md5_first_mebibyte=right), home)
    assert_whole(home)


def test_fault_11_damage_that_only_unpacking_sees(server: Loopback, home: Path) -> None:
    server.files["pets.tgz"] = ARCHIVE[:60_000] + b"?" + ARCHIVE[60_001:]
    source = make_source(f"{server.url}/pets.tgz")
    sentence = fail_to_fetch(source, home)
    assert "is damaged or incomplete" in sentence and "has been deleted" in sentence
    assert not list((home / "downloads").glob("*.tgz"))
    server.files["pets.tgz"] = ARCHIVE
    fetch_dataset(source, home)
    assert_whole(home)


def test_fault_11_wrong_numbers_of_images(server: Loopback, home: Path) -> None:
    counts = {"train": {"cats": 20, "dogs": 20}, "valid": {"cats": 10, "dogs": 11}}
    source = make_source(f"{server.url}/pets.tgz", counts=counts)
    assert "10 cats and 10 dogs in valid instead of 10 cats and 11 dogs" in fail_to_fetch(
        source, home
    )
    counts["valid"]["dogs"] = 10
    fetch_dataset(source, home)
    assert_whole(home)


@pytest.mark.parametrize("chunked", [True, False])
def test_fault_12_no_content_length(chunked: bool, server: Loopback, home: Path) -> None:
    server.usual = Answer(length=False, chunked=chunked)
    fetch_dataset(make_source(f"{server.url}/pets.tgz"), home)
    assert_whole(home)


def test_fault_12_cut_off_without_anyone_knowing_the_length(server: Loopback, home: Path) -> None:
    server.script = [Answer(length=False, end_after=KEPT)]
    source = make_source(f"{server.url}/pets.tgz")
    assert "is damaged or incomplete" in fail_to_fetch(source, home)
    fetch_dataset(source, home)
    assert_whole(home)


def test_fault_13_space_is_checked_before_the_first_byte(
    server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: real(path)._replace(free=200_000))
    sentence = fail_to_fetch(make_source(f"{server.url}/pets.tgz"), home)
    assert f"The disk of {home / 'downloads'} has 200.0 kB free" in sentence
    assert "COURSE_HOME" in sentence
    assert not list((home / "downloads").glob("*.part"))


@pytest.fixture
def small_disk(home: Path) -> list[str]:
    """The beginning of a command that sees a disk of 200 kB at `home`, and nobody else does."""
    home.mkdir()
    mount = f"mount -t tmpfs -o size=200k tmpfs '{home}'"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("needs Linux and the permission to mount a small disk in a namespace")
    return ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "-"]


SHOW = """
finally:
    print(sorted(path.name for path in home.glob("*/*") if path.suffix != ".lock"))
"""


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs Linux")
def test_fault_13_disk_full_while_downloading(
    small_disk: list[str], server: Loopback, home: Path
) -> None:
    # Without a length nobody can know beforehand; random bytes do not shrink.
    server.files["large.tgz"] = pack_tar(make_pictures(train=40, size=5_000))
    server.usual = Answer(length=False)
    process = run_python(FETCH + SHOW, f"{server.url}/large.tgz", str(home), prefix=small_disk)
    output, errors = process.communicate(timeout=HANG)
    assert process.returncode == 1
    assert f"The disk of {home / 'downloads'} is full" in errors and "Traceback" not in errors
    assert ".tgz.part'" in output


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs Linux")
def test_fault_14_disk_full_while_unpacking(
    small_disk: list[str], server: Loopback, home: Path
) -> None:
    code = "archives.require_space = download.require_space = lambda *_: None\n" + FETCH + SHOW
    process = run_python(code, f"{server.url}/pets.tgz", str(home), prefix=small_disk)
    output, errors = process.communicate(timeout=HANG)
    assert process.returncode == 1
    assert f"The disk of {home / 'datasets'} is full" in errors and "Traceback" not in errors
    # The archive is kept for the next try, of the pictures nothing is left.
    name = find_source(f"{server.url}/pets.tgz").file_name
    assert output.strip() == str([name, f"{name}.part.json", f"{name}.sha256"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
def test_fault_15_interrupt_while_downloading(server: Loopback, home: Path) -> None:
    server.usual = Answer(stall_after=KEPT)  # until it is interrupted
    url = f"{server.url}/pets.tgz"
    process = run_python("download.fetch_dataset(source, home)", url, str(home))
    part = home / "downloads" / f"{find_source(url).file_name}.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 20_000, process)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=HANG)[1]
    size = part.stat().st_size
    assert part.read_bytes() == ARCHIVE[:size] and size < len(ARCHIVE)
    server.usual = Answer()
    folders = fetch_dataset(find_source(url), home)
    assert server.requests[-1].range == f"bytes={size}-"
    assert list_files(folders.root / "dogscats") == list_dogscats(PICTURES)


def list_dogscats(pictures: dict[str, bytes]) -> dict[str, bytes]:
    return {name.removeprefix("dogscats/"): content for name, content in pictures.items()}


# The first files, and then nothing more until it is interrupted.
HALFWAY = f"""
import time
real, written = unpack._write_member, []


def write_some(member, folder, parts):
    real(member, folder, parts)
    written.append(parts)
    if len(written) == 10:
        time.sleep({2 * HANG})


unpack._write_member = write_some
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
def test_fault_16_interrupt_while_unpacking(server: Loopback, home: Path) -> None:
    url = f"{server.url}/pets.tgz"
    process = run_python(HALFWAY + "download.fetch_dataset(source, home)", url, str(home))
    wait_until(lambda: list(home.glob("datasets/.*/new/*/*/*/*.jpg")), process)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=HANG)[1]
    assert not list((home / "datasets").iterdir())
    folders = fetch_dataset(find_source(url), home)
    assert len(server.requests) == 1  # the archive was whole, and is not downloaded again
    assert list_files(folders.root / "dogscats") == list_dogscats(PICTURES)


def test_fault_18_two_processes_at_once(server: Loopback, home: Path) -> None:
    url = f"{server.url}/pets.tgz"
    server.go.clear()  # the first is answered when the second has come upon its lock
    first = run_python(FETCH, url, str(home))
    wait_until(lambda: server.requests, first)
    second = run_python(FETCH, url, str(home))
    said = second.stdout.readline()
    server.go.set()
    outputs = [process.communicate(timeout=HANG) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert len(server.requests) == 1
    assert said.startswith("Another process is getting pets-")
    assert "Another process" not in outputs[0][0]
    folders = fetch_dataset(find_source(url), home)
    assert list_files(folders.root / "dogscats") == list_dogscats(PICTURES)


def test_fault_19_read_only_folder(
    bound_by_permissions: list[str], server: Loopback, home: Path
) -> None:
    url = f"{server.url}/pets.tgz"

    def fetch() -> tuple[int, str, str]:
        process = run_python(FETCH, url, str(home), prefix=bound_by_permissions)
        output, errors = process.communicate(timeout=HANG)
        return process.returncode, output, errors

    home.mkdir()
    home.chmod(0o555)
    code, _, errors = fetch()
    assert code == 1 and "Traceback" not in errors
    assert f"{home / 'downloads'} cannot be written to (Permission denied)" in errors
    assert "set COURSE_HOME to a folder of your own, and COURSE_SHARED to one that" in errors
    home.chmod(0o755)
    folders = fetch_dataset(find_source(url), home)
    shutil.rmtree(home / "downloads")  # no lock of somebody else's is lying there either
    for folder in (home, *home.iterdir(), folders.root):
        folder.chmod(0o555)
    try:
        code, output, errors = fetch()
    finally:
        for folder in (home, *home.iterdir(), folders.root):
            folder.chmod(0o755)
    assert (code, output.strip()) == (0, str(folders.train)), errors


def test_local_archive_is_unpacked_from_where_it_lies(tmp_path: Path, home: Path) -> None:
    archive = tmp_path / "my pets.zip"
    archive.write_bytes(pack_zip(PICTURES))
    first = fetch_dataset(find_source(str(archive)), home)
    assert first.train.is_dir() and archive.exists()
    assert {path.suffix for path in (home / "downloads").iterdir()} == {".lock"}
    inode = first.root.stat().st_ino
    assert fetch_dataset(find_source(str(archive)), home) == first
    assert first.root.stat().st_ino == inode  # found again, not unpacked again
    changed = make_pictures(seed=5, train=4)
    archive.write_bytes(pack_zip(changed))
    second = fetch_dataset(find_source(str(archive)), home)
    assert list_files(second.root / "dogscats") == list_dogscats(changed)


def test_damaged_local_archive_is_never_deleted(tmp_path: Path, home: Path) -> None:
    archive = tmp_path / "pets.tgz"
    archive.write_bytes(ARCHIVE[:-50])
    assert "is damaged or incomplete" in fail_to_fetch(find_source(str(archive)), home)
    assert archive.exists()


def test_local_archive_with_a_published_checksum(tmp_path: Path, home: Path) -> None:
    archive = tmp_path / "pets.tgz"
    source = make_source(str(archive), content=ARCHIVE)
    assert f"{archive} is missing" in fail_to_fetch(source, home)
    archive.write_bytes(ARCHIVE[:-1] + b"?")
    assert "wrong checksum" in fail_to_fetch(source, home)
    archive.write_bytes(ARCHIVE)
    fetch_dataset(source, home)
    assert_whole(home)
    os.utime(archive)  # a fresh checkout of the repository: the same bytes, another date
    before = (home / "datasets" / "pets").stat().st_ino
    fetch_dataset(source, home)
    assert (home / "datasets" / "pets").stat().st_ino == before


def test_folder_is_used_where_it_is_and_never_written_to(tmp_path: Path, home: Path) -> None:
    for name, content in PICTURES.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(content)
    folders = fetch_dataset(find_source(str(tmp_path / "mine")), home)
    assert folders.train == tmp_path / "mine" / "dogscats" / "train"
    assert list_files(tmp_path / "mine") == PICTURES
    assert not home.exists()


@pytest.mark.slow
def test_command_line_says_where_everything_is(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    archive = tmp_path / "pets.tgz"
    archive.write_bytes(ARCHIVE)
    monkeypatch.setenv("COURSE_HOME", str(home))
    monkeypatch.setenv("COURSE_PROFILE", "photos")  # what is typed wins over these three
    monkeypatch.setenv("COURSE_DATA", "http://127.0.0.1:9/x.tgz")
    monkeypatch.setenv("COURSE_BACKBONE", "resnet101")
    typed = ["--profile", "sample", "--data", str(archive), "--backbone", "efficientnet_lite0"]
    assert main(typed) == 0
    output = capsys.readouterr().out
    root = home / "datasets" / find_source(str(archive)).name / "dogscats"
    assert f"20 cats, 20 dogs in {root / 'train'}" in output
    assert f"10 cats, 10 dogs in {root / 'valid'}" in output
    assert "licence" in output and "efficientnet_lite0: " in output and ".pth" in output


@pytest.mark.slow
def test_command_line_fails_with_one_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COURSE_HOME", str(home))
    monkeypatch.setenv("COURSE_PROFILE", "sample")
    monkeypatch.setenv("COURSE_DATA", "http://127.0.0.1:9/x.tgz")
    assert main([]) == 1
    errors = capsys.readouterr().err
    sentence = errors.split("\r")[-1].strip()  # progress bars end with a carriage return
    assert sentence.startswith("The dataset x-") and sentence.endswith("run this again.")
    assert "\n" not in sentence and "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
def test_command_line_interrupted(server: Loopback, home: Path) -> None:
    server.usual = Answer(stall_after=KEPT)
    with subprocess.Popen(
        [sys.executable, "-m", "utils.download", "--data", f"{server.url}/pets.tgz"],
        cwd=ROOT,
        env=os.environ | {"COURSE_HOME": str(home), "COURSE_PROFILE": "sample"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: list(home.glob("downloads/*.part")), process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("Interrupted: ") and "Traceback" not in errors


def test_identity_of_a_partial_file_is_written_before_its_first_byte(
    server: Loopback, home: Path
) -> None:
    server.script = [Answer(drop_after=KEPT)]
    server.usual = Answer(status=503)
    fail_to_fetch(make_source(f"{server.url}/pets.tgz"), home)
    state = json.loads((home / "downloads" / "pets.tgz.part.json").read_text())
    assert state["etag"] == '"1"' and state["total"] == len(ARCHIVE)


def test_complete_partial_file_needs_no_network(server: Loopback, home: Path, monkeypatch) -> None:
    def die(*_) -> None:
        raise KeyboardInterrupt  # between the last byte and the renaming

    with monkeypatch.context() as patch:
        patch.setattr(download, "_keep", die)
        with pytest.raises(KeyboardInterrupt):
            fetch_dataset(make_source(f"{server.url}/pets.tgz"), home)
    fetch_dataset(make_source(f"{server.url}/pets.tgz"), home)
    assert len(server.requests) == 1
    assert_whole(home)
