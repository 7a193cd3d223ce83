"""Thirty laptops and one instructor: the command line, a mirror, and one folder that all read."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from loopback import (
    Answer,
    count_tree,
    list_files,
    make_images,
    make_settings,
    pack_zip,
    serve,
    write_files,
)
from patience import HANG

from utils.download import download, sources, weights
from utils.download.__main__ import main
from utils.download.sources import SOURCES, Source, find_source
from utils.settings import ROOT, CourseError

pytestmark = pytest.mark.usefixtures("hurry")

ARCHIVE_NAME = "cats_and_dogs_filtered.zip"
ARCHIVE = pack_zip(make_images(train=4, test=2, parts=("train", "validation")))
WHOLE = {"train": {"cats": 4, "dogs": 4}, "valid": {"cats": 2, "dogs": 2}}
WEIGHTS = b"PK\x03\x04" + bytes(range(256)) * 100
WEIGHTS_NAME = f"resnet101-{hashlib.sha256(WEIGHTS).hexdigest()[:8]}.pth"


@contextmanager
def serve_with_python(folder: Path) -> Iterator[str]:
    """`python -m http.server` in a folder, as an instructor starts it; yields its address."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        [*command, "--directory", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            port = process.stdout.readline().split("port ")[1].split()[0]
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_a_folder_served_by_python_is_a_complete_mirror(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "class"
    monkeypatch.setenv("COURSE_PROFILE", "photos")
    with serve({ARCHIVE_NAME: ARCHIVE, WEIGHTS_NAME: WEIGHTS}) as public:
        url = f"{public.url}/{ARCHIVE_NAME}"
        small = Source("photos", "photos", (url,), "MIT", len(ARCHIVE), (4, 2))
        monkeypatch.setitem(sources.SOURCES, "photos", small)
        monkeypatch.setattr(weights, "find_address", lambda: f"{public.url}/{WEIGHTS_NAME}")
        assert main(["--mirror", str(folder)]) == 0  # the instructor, the day before
        assert f"http.server --directory {folder} 8000" in capsys.readouterr().out
        assert (folder / ARCHIVE_NAME).read_bytes() == ARCHIVE
        assert (folder / WEIGHTS_NAME).read_bytes() == WEIGHTS
        public.usual = Answer(status=500)
        public.requests.clear()
        shutil.rmtree(hub)
        with serve_with_python(folder) as address:
            monkeypatch.setenv("COURSE_MIRROR", address)
            monkeypatch.setenv("COURSE_HOME", str(tmp_path / "learner"))
            assert main([]) == 0
    printed = capsys.readouterr().out
    assert "cats              4                     2" in printed and "MIT" in printed
    assert str(hub / WEIGHTS_NAME) in printed and not public.requests
    assert count_tree(tmp_path / "learner" / "datasets" / "photos") == WHOLE
    assert (folder / ARCHIVE_NAME).exists()  # what is served to a class is never deleted


def test_nothing_to_serve_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COURSE_PROFILE", "sample")
    assert main(["--mirror", str(tmp_path / "class")]) == 1
    assert "need no download, so there is nothing to serve" in capsys.readouterr().err
    assert not (tmp_path / "class").exists()


def test_what_is_shared_is_read_first_and_never_written(tmp_path: Path) -> None:
    url, shared = "http://127.0.0.1:9/pets.zip", tmp_path / "shared"
    settings = make_settings(tmp_path / "home", url, shared=shared)
    source = find_source(settings)
    write_files(shared, {f"downloads/{source.file_name}": ARCHIVE})
    assert download(settings) == tmp_path / "home" / "datasets" / source.name
    assert list_files(shared) == {f"downloads/{source.file_name}": ARCHIVE}
    # Another learner finds it prepared there, if the instructor has done so.
    shutil.move(tmp_path / "home" / "datasets", shared)
    other = make_settings(tmp_path / "other", url, shared=shared)
    assert count_tree(download(other)) == WHOLE and not (tmp_path / "other").exists()


def test_a_damaged_shared_archive_is_not_touched(tmp_path: Path) -> None:
    url, shared = "http://127.0.0.1:9/pets.zip", tmp_path / "shared"
    settings = make_settings(tmp_path / "home", url, shared=shared)
    file = {f"downloads/{find_source(settings).file_name}": ARCHIVE[:-100]}
    write_files(shared, file)
    with pytest.raises(CourseError, match="damaged or incomplete .*good copy.$"):
        download(settings)
    assert list_files(shared) == file


def test_the_sample_is_as_its_entry_says(tmp_path: Path) -> None:
    train, test = SOURCES["sample"].counts
    tree = download(make_settings(tmp_path, "sample"))
    counts = count_tree(tree)
    assert counts == {
        "train": {"cats": train, "dogs": train},
        "valid": {"cats": test, "dogs": test},
    }
    files, *rows = (tree / "collars.csv").read_text().splitlines()
    assert files == "file,collar" and len(rows) == 2 * (train + test)
    assert all((tree / row.partition(",")[0]).is_file() for row in rows)


def test_table_of_sources() -> None:
    full, photos = SOURCES["full"], SOURCES["photos"]
    assert (full.file_name, full.size, full.counts) == (
        "dogscats.tgz",
        839_285_364,
        (11_500, 1_000),
    )
    assert (photos.file_name, photos.counts) == (ARCHIVE_NAME, (1_000, 500))
    assert len(full.addresses) == 2 and "research and education" in full.licence


def run_command(home: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    pipe = subprocess.PIPE
    variables = os.environ | {"COURSE_HOME": str(home), "COURSE_PROFILE": "sample"} | environment
    command = [sys.executable, "-m", "utils.download", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=pipe, stderr=pipe)


@pytest.mark.slow
def test_command_line_on_a_terminal_of_few_characters(tmp_path: Path) -> None:
    files = {f"{p}/{c}/{n}.png": v for p in ("train", "valid") for c in ("猫", "dog")
             for n, v in enumerate(make_images(train=3).values())}  # fmt: skip
    mine = write_files(tmp_path / "Lea's images", files)
    # What is typed wins over the environment.
    wrong = {"COURSE_DATA": "http://127.0.0.1:9/x.tgz", "COURSE_BACKBONE": "resnet101"}
    typed = ["--data", str(mine), "--backbone", "efficientnet_lite0"]
    process = run_command(tmp_path / "home", *typed, PYTHONIOENCODING="cp1252", **wrong)
    output, errors = process.communicate(timeout=HANG)
    assert process.returncode == 0, errors
    text = output.decode("cp1252")
    assert "Lea's images" in text and "\n?  " in text and ".pth" in text


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
def test_command_line_interrupted(tmp_path: Path) -> None:
    with serve({"pets.zip": ARCHIVE}) as server:
        server.usual = Answer(stall_after=20_000)
        process = run_command(tmp_path, "--data", f"{server.url}/pets.zip")
        while not list(tmp_path.glob("downloads/*.part")) and process.poll() is None:
            server.closing.wait(0.02)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=HANG)[1].decode()
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("Interrupted: ") and "Traceback" not in errors


def test_command_line_fails_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COURSE_PROFILE", "sample")
    monkeypatch.setenv("COURSE_DATA", "http://127.0.0.1:9/x.tgz")
    assert main([]) == 1
    sentence = capsys.readouterr().err.split("\r")[-1].strip()  # a bar ends with a return
    assert sentence.startswith("The dataset x-") and sentence.endswith("run this again.")
