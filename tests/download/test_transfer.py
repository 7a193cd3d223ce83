"""Downloads that fail in every way a classroom knows."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import (
    Answer,
    Loopback,
    count_tree,
    list_files,
    make_images,
    make_settings,
    pack_tar,
    serve,
)
from patience import HANG, wait_until

from utils.download import download, sources, transfer
from utils.download.sources import Source, find_source
from utils.settings import ROOT, CourseError

IMAGES = make_images(train=20, test=10)
ARCHIVE = pack_tar(IMAGES)
WHOLE = {"train": {"cats": 20, "dogs": 20}, "valid": {"cats": 10, "dogs": 10}}
KEPT = 3 * transfer.CHUNK  # a place to break off at from which every byte was kept
pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve({"pets.tgz": ARCHIVE}) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Makes a public dataset called pets, with these addresses and checks; returns its name."""

    def make(*urls: str, **checks) -> str:
        source = Source("pets", "pets", urls, "MIT", **{"counts": (20, 10)} | checks)
        monkeypatch.setitem(sources.SOURCES, "pets", source)
        return "pets"

    return make


def fail(home: Path, data: str) -> str:
    """The sentence that the user sees: one, without a line break, and nothing in use afterwards."""
    with pytest.raises(CourseError) as caught:
        download(make_settings(home, data))
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    assert not list(home.glob("datasets/*")) and not list(home.glob("datasets/.*"))
    return sentence


def get(home: Path, data: str, images: dict[str, bytes] = IMAGES) -> Path:
    """Download, and see that every byte is there and nothing else is left in the home folder."""
    tree = download(make_settings(home, data))
    found = {f"pets/{name}": content for name, content in list_files(tree).items()}
    assert found.pop("pets/.complete.json") and found == images
    assert list((home / "datasets").iterdir()) == [tree]
    assert {path.suffix for path in (home / "downloads").iterdir()} <= {".lock", ".damaged"}
    return tree


def test_a_download_is_unpacked_cleared_away_and_found_again_offline(
    server: Loopback, home: Path, capsys: pytest.CaptureFixture
) -> None:
    url = f"{server.url}/pets.tgz"
    tree = get(home, url)
    assert count_tree(tree) == WHOLE
    printed = capsys.readouterr().out
    server.usual = Answer(status=500)
    before = os.stat(home / "downloads").st_mtime_ns
    assert download(make_settings(home, url)) == tree
    assert capsys.readouterr().out == printed and "cats" in printed
    assert len(server.requests) == 1 and os.stat(home / "downloads").st_mtime_ns == before


@pytest.mark.parametrize(
    "answer",
    [
        Answer(headers=(("Content-Encoding", "gzip"),)),  # a label that is not to be believed
        Answer(length=False),
        Answer(length=False, chunked=True),
    ],
)
def test_odd_answers_that_are_whole(answer: Answer, server: Loopback, home: Path) -> None:
    server.usual = answer
    get(home, f"{server.url}/pets.tgz")


def test_fault_02_offline(home: Path, publish: Callable) -> None:
    # Port 9 of this machine refuses; a name under .invalid is in no directory (RFC 2606).
    urls = "http://127.0.0.1:9/pets.tgz", "http://mirror.invalid/pets.tgz"
    sentence = fail(home, publish(*urls))
    assert all(f"{url} cannot be reached" in sentence for url in urls)
    assert "COURSE_DATA" in sentence and "COURSE_PROFILE=sample" in sentence
    assert str(home / "downloads" / "pets.tgz") in sentence


@pytest.mark.parametrize(
    "url", ["http://a..b/p.tgz", f"http://{'a' * 70}.b/p.tgz", "http://a:99999/"]
)
def test_fault_02_address_that_cannot_be(url: str, home: Path) -> None:
    assert f"{url} cannot be " in fail(home, url)


def test_fault_02_proxy_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert "cannot be reached through the proxy" in fail(home, "http://mirror.invalid/pets.tgz")


def test_credentials_in_an_address_are_not_shown(home: Path) -> None:
    sentence = fail(home, "http://me:abc123@127.0.0.1:9/pets.tgz?key=xyz789")
    assert "http://127.0.0.1:9/pets.tgz " in sentence
    assert "abc123" not in sentence and "xyz789" not in sentence


@pytest.mark.parametrize("status", [403, 404])
def test_fault_03_missing_file_next_address(
    status: int, server: Loopback, home: Path, publish: Callable
) -> None:
    server.script = [Answer(status=status)]
    get(home, publish(f"{server.url}/gone/pets.tgz", f"{server.url}/pets.tgz"))
    assert [request.path for request in server.requests] == ["/gone/pets.tgz", "/pets.tgz"]


def test_fault_03_all_addresses_missing(server: Loopback, home: Path, publish: Callable) -> None:
    server.script = [Answer(status=404), Answer(status=403)]
    sentence = fail(home, publish(f"{server.url}/a.tgz", f"{server.url}/b.tgz"))
    assert "/a.tgz answered 404 Not Found; " in sentence and "/b.tgz answered 403 " in sentence


def test_busy_server_is_asked_again(server: Loopback, home: Path) -> None:
    server.script = [Answer(status=503), Answer(status=429)]
    get(home, f"{server.url}/pets.tgz")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody has signed but itself."""
    if not shutil.which("openssl"):
        pytest.skip("makes its certificate with the openssl command, which is not installed")
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    files = ["-keyout", path, "-out", f"{path}.crt"]
    subprocess.run([*command, *files], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_fault_04_untrusted_certificate(
    certificate: Path, server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve({"pets.tgz": ARCHIVE}, certificate) as secure:
        sentence = fail(home, f"{secure.url}/pets.tgz")
        assert "clock" in sentence and "proxy" in sentence and "certificates" in sentence
        # The same server passes once its certificate is trusted: nothing else was wrong with it.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{certificate}.crt")
        get(home, f"{secure.url}/pets.tgz")


def test_fault_05_web_page_with_status_200(server: Loopback, home: Path, publish: Callable) -> None:
    page = Answer(body=b"\n<!DOCTYPE html><html>Welcome to the network" + b" " * len(ARCHIVE))
    server.script = [page]
    assert "sent a web page instead" in fail(home, f"{server.url}/pets.tgz")
    server.script = [page]
    get(home, publish(f"{server.url}/login/pets.tgz", f"{server.url}/pets.tgz"))


@pytest.mark.parametrize("length", [True, False], ids=["declared", "undeclared"])
def test_fault_06_short_body(length: bool, server: Loopback, home: Path, publish: Callable) -> None:
    server.script = [Answer(end_after=KEPT, length=length)]
    get(home, publish(f"{server.url}/pets.tgz", size=len(ARCHIVE)))
    assert [request.range for request in server.requests] == [None, f"bytes={KEPT}-"]


def test_fault_06_always_too_short(server: Loopback, home: Path, publish: Callable) -> None:
    server.usual = Answer(end_after=transfer.CHUNK, ranges=False, length=False)
    sentence = fail(home, publish(f"{server.url}/pets.tgz", size=len(ARCHIVE)))
    assert f"sent 16,384 of {len(ARCHIVE)} bytes and stopped" in sentence


def test_fault_07_stall_is_noticed_and_resumed(server: Loopback, home: Path) -> None:
    server.script = [Answer(stall_after=KEPT), Answer(stall_after=0)]
    get(home, f"{server.url}/pets.tgz")
    assert len(server.requests) == 3 and server.requests[2].range.startswith("bytes=")


def test_fault_07_server_that_never_answers(server: Loopback, home: Path) -> None:
    server.usual = Answer(stall_after=0)
    assert "sent nothing for 0.4 seconds" in fail(home, f"{server.url}/pets.tgz")


@pytest.mark.parametrize("chunked", [False, True])
def test_fault_08_dropped_connection_is_resumed(
    chunked: bool, server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "BACK_OFF", (0.01,))
    # More drops than tries, each of which got on: patience is for tries that bring nothing.
    server.script = [
        Answer(drop_after=2 * transfer.CHUNK, chunked=chunked and not n) for n in range(3)
    ]
    get(home, f"{server.url}/pets.tgz")
    ranges = [request.range for request in server.requests]
    assert ranges[0] is None and (chunked or all(ranges[1:]))


def test_fault_08_gives_up_and_goes_on_in_the_next_call(server: Loopback, home: Path) -> None:
    url = f"{server.url}/pets.tgz"
    server.usual = Answer(drop_after=0)
    server.script = [Answer(drop_after=KEPT)]
    assert "dropped the connection" in fail(home, url)
    (part,) = (home / "downloads").glob("*.part")
    assert part.read_bytes() == ARCHIVE[:KEPT]
    server.usual = Answer()
    del server.requests[:]
    get(home, url)
    assert [request.range for request in server.requests] == [f"bytes={KEPT}-"]


def test_fault_08_useless_address_does_not_spoil_the_partial_file(
    server: Loopback, home: Path, publish: Callable
) -> None:
    server.script = [Answer(drop_after=KEPT)] + [Answer(drop_after=0)] * 4
    data = publish(f"{server.url}/pets.tgz", f"{server.url}/gone.tgz")
    fail(home, data)
    get(home, data)
    assert server.requests[-1].range == f"bytes={KEPT}-"


@pytest.mark.parametrize("answer", [Answer(ranges=False), Answer(status=200)])
def test_fault_09_server_without_range(answer: Answer, server: Loopback, home: Path) -> None:
    server.script = [Answer(drop_after=KEPT)]
    server.usual = answer
    get(home, f"{server.url}/pets.tgz")
    assert [request.range for request in server.requests] == [None, f"bytes={KEPT}-"]


def test_range_ignored_in_mid_resume(server: Loopback, home: Path) -> None:
    """Understood once, then not any more: the file begins anew, and is no two beginnings."""
    server.script = [
        Answer(drop_after=KEPT), Answer(drop_after=transfer.CHUNK),
        Answer(ranges=False, drop_after=transfer.CHUNK),
    ]  # fmt: skip
    get(home, f"{server.url}/pets.tgz")
    assert len(server.requests) == 4


@pytest.mark.parametrize("if_range", [True, False], ids=["polite", "ignores If-Range"])
@pytest.mark.parametrize("validator", ["etag", "weak", "date", "none"])
def test_fault_10_remote_changed_since_the_partial_file(
    if_range: bool, validator: str, server: Loopback, home: Path
) -> None:
    # Plain tars of one length: neither size nor checksum would betray two halves glued together.
    old, new = make_images(seed=1, train=20), make_images(seed=2, train=20)
    first, second = pack_tar(old, (), "w:"), pack_tar(new, (), "w:")
    assert len(first) == len(second)
    server.files["pets.tar"] = first
    server.version = "1" if validator == "etag" else ""
    server.modified = "Fri, 27 Sep 2013 10:00:00 GMT" if validator == "date" else None
    weak = (("ETag", 'W/"1"'),) if validator == "weak" else ()
    server.script = [Answer(drop_after=KEPT, headers=weak)]
    server.usual = Answer(status=503)
    fail(home, f"{server.url}/pets.tar")
    server.files["pets.tar"] = second
    server.version = server.version and "2"
    server.modified = server.modified and "Sat, 28 Sep 2013 10:00:00 GMT"
    server.usual = Answer(if_range=if_range, headers=weak)
    get(home, f"{server.url}/pets.tar", new)


def test_fault_10_killed_while_the_old_part_is_replaced(
    server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = make_images(seed=2, train=20)
    server.files["pets.tar"] = pack_tar(make_images(seed=1, train=20), (), "w:")
    server.script = [Answer(drop_after=KEPT)]
    server.usual = Answer(status=503)
    fail(home, f"{server.url}/pets.tar")
    server.files["pets.tar"], server.version = pack_tar(new, (), "w:"), "2"
    server.usual = Answer()
    write_json = transfer.write_json

    def write_and_die(*arguments) -> None:
        write_json(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "write_json", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            download(make_settings(home, f"{server.url}/pets.tar"))
    get(home, f"{server.url}/pets.tar", new)


def test_fault_10_remote_became_shorter(server: Loopback, home: Path) -> None:
    server.script = [Answer(drop_after=len(ARCHIVE) - 1)]
    server.usual = Answer(status=503)
    fail(home, f"{server.url}/pets.tgz")
    smaller = make_images(train=5)
    server.files["pets.tgz"], server.version = pack_tar(smaller), "2"
    server.usual = Answer(if_range=False)  # answers 416
    get(home, f"{server.url}/pets.tgz", smaller)


DAMAGED = ARCHIVE[:60_000] + b"?" + ARCHIVE[60_001:]
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


@pytest.mark.parametrize(
    ("checks", "reason"),
    [
        ({"sha256": SHA256}, "sent a file that has the wrong checksum"),
        ({"md5_start": "3e483c8d"}, "sent a file that has the wrong checksum"),
        ({"size": 1_000_000}, f"has a file of {len(ARCHIVE):,} bytes instead of 1,000,000"),
    ],
)
def test_fault_11_wrong_file_next_address(
    checks: dict, reason: str, server: Loopback, home: Path, publish: Callable
) -> None:
    server.files["bad.tgz"] = DAMAGED
    assert reason in fail(home, publish(f"{server.url}/bad.tgz", **checks))
    kept = list((home / "downloads").glob("*.damaged"))
    assert len(kept) == ("size" not in checks) and all(p.read_bytes() == DAMAGED for p in kept)
    if "sha256" in checks:
        get(home, publish(f"{server.url}/bad.tgz", f"{server.url}/pets.tgz", **checks))


def test_fault_11_damage_that_only_unpacking_sees(server: Loopback, home: Path) -> None:
    server.files["pets.tgz"] = DAMAGED
    sentence = fail(home, f"{server.url}/pets.tgz")
    (aside,) = (home / "downloads").glob("*.damaged")
    assert "is damaged or incomplete" in sentence and aside.name in sentence
    assert aside.read_bytes() == DAMAGED
    server.files["pets.tgz"] = ARCHIVE
    get(home, f"{server.url}/pets.tgz")


def test_fault_11_wrong_numbers_of_images(server: Loopback, home: Path, publish: Callable) -> None:
    sentence = fail(home, publish(f"{server.url}/pets.tgz", counts=(20, 11)))
    assert "'valid': {'cats': 10, 'dogs': 10}} images instead of" in sentence
    assert (home / "downloads" / "pets.tgz").read_bytes() == ARCHIVE  # whole, and so kept


def test_a_whole_download_is_kept_whatever_is_in_it(server: Loopback, home: Path) -> None:
    server.files["pets.tgz"] = pack_tar({"pets/notes.txt": b"no images here"})
    for _ in range(2):
        assert "it has no images" in fail(home, f"{server.url}/pets.tgz")
    assert len(server.requests) == 1


def test_fault_12_cut_off_without_anyone_knowing_the_length(server: Loopback, home: Path) -> None:
    server.script = [Answer(length=False, end_after=KEPT)]
    assert "is damaged or incomplete" in fail(home, f"{server.url}/pets.tgz")
    get(home, f"{server.url}/pets.tgz")


def test_fault_13_space_is_checked_before_the_first_byte(
    server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=200_000))
    sentence = fail(home, f"{server.url}/pets.tgz")
    assert f"The disk of {home / 'downloads'} has 200.0 kB free" in sentence
    assert "COURSE_HOME" in sentence and not list((home / "downloads").glob("*.part"))


FETCH = """
import sys
sys.path.insert(0, "tests/download")
from pathlib import Path
from loopback import make_settings
from utils.download import archives, dataset, download, transfer
from utils.settings import CourseError
home = Path(sys.argv[2])
%s
try:
    print(download(make_settings(home, sys.argv[1])))
except CourseError as error:
    sys.exit(str(error))
finally:
    print(sorted(path.suffix for path in home.glob("*/*") if path.suffix != ".lock"))
"""


def start(url: str, home: Path, prefix: list[str] = (), patch: str = "") -> subprocess.Popen:
    """A Python process of its own that downloads."""
    command = [*prefix, sys.executable, "-c", FETCH % patch, url, str(home)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs Linux")
@pytest.mark.parametrize("where", ["downloads", "datasets"])
def test_fault_13_and_14_disk_full(where: str, server: Loopback, home: Path) -> None:
    home.mkdir()
    mount = f"mount -t tmpfs -o size=200k tmpfs '{home}'"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("needs the permission to mount a small disk in a namespace")
    prefix = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "-"]
    # Without a length nobody can know beforehand; noise does not shrink.
    size = {"downloads": 100, "datasets": 30}[where]
    server.files["large.tgz"] = pack_tar(make_images(train=size))
    server.usual = Answer(length=False)
    patch = "archives.require_space = lambda *_: None"
    output, errors = start(f"{server.url}/large.tgz", home, prefix, patch).communicate(timeout=HANG)
    assert f"The disk of {home / where} is full" in errors and "Traceback" not in errors
    kept = {"downloads": ".part", "datasets": ".tgz"}[where]
    assert kept in output  # for the next try


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
def test_fault_15_interrupt_while_downloading(server: Loopback, home: Path) -> None:
    server.usual = Answer(pause=0.1)
    url = f"{server.url}/pets.tgz"
    process = start(url, home)
    wait_until(lambda: any(p.stat().st_size > 20_000 for p in home.glob("*/*.part")), process)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=HANG)[1]
    (part,) = home.glob("*/*.part")
    size = part.stat().st_size
    assert part.read_bytes() == ARCHIVE[:size] and size < len(ARCHIVE)
    server.usual = Answer()
    get(home, url)
    assert server.requests[-1].range == f"bytes={size}-"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_fault_16_stopped_while_preparing(way: int, server: Loopback, home: Path) -> None:
    url = f"{server.url}/pets.tgz"
    slowly = (
        "import time; from utils.download import prepare; real = prepare._look\n"
        "prepare._look = lambda file: (time.sleep(2), real(file))[1]"
    )
    process = start(url, home, patch=slowly)
    wait_until(lambda: list(home.glob("datasets/.*/unpacked/*/*/*/*.png")), process)
    process.send_signal(way)
    process.communicate(timeout=HANG)
    assert process.returncode != 0 and not list(home.glob("datasets/[!.]*"))
    download(make_settings(home, url))
    assert len(server.requests) == 1  # the archive was whole, and is not downloaded again
    assert len(list((home / "datasets").iterdir())) == 1


@pytest.mark.slow
def test_fault_18_two_processes_at_once(server: Loopback, home: Path) -> None:
    server.usual = Answer(pause=0.2)
    processes = [start(f"{server.url}/pets.tgz", home) for _ in range(2)]
    outputs = [process.communicate(timeout=HANG) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert len(server.requests) == 1
    get(home, f"{server.url}/pets.tgz")


@pytest.mark.slow
def test_fault_19_read_only_folder(
    bound_by_permissions: list[str], server: Loopback, home: Path
) -> None:
    url = f"{server.url}/pets.tgz"
    home.mkdir(mode=0o555)
    errors = start(url, home, bound_by_permissions).communicate(timeout=HANG)[1]
    assert f"{home / 'downloads'} cannot be written to (Permission denied)" in errors
    assert "set COURSE_HOME to a folder of your own" in errors and "Traceback" not in errors
    home.chmod(0o755)
    tree = get(home, url)
    shutil.rmtree(home / "downloads")  # no lock of somebody else's is lying there either
    folders = [home, *home.iterdir(), tree]
    for folder in folders:
        folder.chmod(0o555)
    try:
        process = start(url, home, bound_by_permissions)
        output, errors = process.communicate(timeout=HANG)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert process.returncode == 0 and str(tree) in output, errors


def test_file_put_by_hand_is_checked_used_and_kept(home: Path, publish: Callable) -> None:
    data = publish("http://127.0.0.1:9/pets.tgz", size=len(ARCHIVE), sha256=SHA256)
    by_hand = home / "downloads" / "pets.tgz"
    by_hand.parent.mkdir(parents=True)
    for content, reason in (
        (ARCHIVE[:-1], f"has {len(ARCHIVE) - 1:,} bytes"),
        (ARCHIVE[:-1] + b"?", "has the wrong checksum"),
    ):
        by_hand.write_bytes(content)
        assert f"{by_hand} {reason}" in fail(home, data)
    by_hand.write_bytes(ARCHIVE)
    download(make_settings(home, data))
    assert by_hand.read_bytes() == ARCHIVE


def test_complete_partial_file_needs_no_network(
    server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_) -> None:
        raise KeyboardInterrupt  # between the last byte and the renaming

    url = f"{server.url}/pets.tgz"
    with monkeypatch.context() as patch:
        patch.setattr("utils.download.dataset._find_fault", die)
        with pytest.raises(KeyboardInterrupt):
            download(make_settings(home, url))
    get(home, url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "data", ["no such folder", "", "  ", "Sample", "ftp://host/a.tgz", "http://[a"]
)
def test_no_such_data_is_one_sentence(data: str, home: Path) -> None:
    sentence = fail(home, data)
    assert data.strip() in sentence and "sample, photos, full" in sentence


def test_own_addresses_have_names_of_their_own(tmp_path: Path) -> None:
    first, other = (
        find_source(make_settings(tmp_path, f"https://{host}/dogscats.tgz?key=1"))
        for host in ("school.example", "other.example")
    )
    assert first.file_name == f"{first.name}.tgz" and first.name.startswith("dogscats-")
    assert first.file_name != other.file_name
    upper = find_source(make_settings(tmp_path, "HTTPS://other.example/dogscats.tgz?key=1"))
    assert upper == other


def test_mirror_goes_first(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, "full", mirror="http://192.168.0.10:8000/")
    urls = find_source(settings).addresses
    assert urls[0] == "http://192.168.0.10:8000/dogscats.tgz"
    assert urls[1:] == sources.SOURCES["full"].addresses and len(urls) == 3
    own = make_settings(tmp_path, "https://school.example/pets.zip", mirror="http://10.0.0.1:8000")
    source = find_source(own)
    assert source.addresses[1:] == ("https://school.example/pets.zip",)
    assert source.addresses[0] == f"http://10.0.0.1:8000/{source.file_name}"
