"""Thirty laptops and one instructor: a mirror of everything, and one folder that all read."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from loopback import Answer, list_files, make_pictures, pack_zip, serve
from patience import HANG
from PIL import Image

from utils import weights
from utils.disk import format_bytes
from utils.download import fetch_dataset, main
from utils.errors import CourseError
from utils.settings import ROOT, find_mirror, find_shared, load_settings
from utils.sources import SOURCES, find_source

pytestmark = pytest.mark.usefixtures("hurry")

ARCHIVE_NAME = "cats_and_dogs_filtered.zip"
ARCHIVE = pack_zip(make_pictures(train=4, test=2, splits=("train", "validation")))
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
    counts = {"train": {"cats": 4, "dogs": 4}, "valid": {"cats": 2, "dogs": 2}}
    folder = tmp_path / "class"
    monkeypatch.setenv("COURSE_PROFILE", "photos")
    with serve({ARCHIVE_NAME: ARCHIVE, WEIGHTS_NAME: WEIGHTS}) as public:
        small = replace(
            SOURCES["photos"],
            addresses=(f"{public.url}/{ARCHIVE_NAME}",),
            bytes=len(ARCHIVE),
            counts=counts,
        )
        monkeypatch.setitem(SOURCES, "photos", small)
        published = SimpleNamespace(url=f"{public.url}/{WEIGHTS_NAME}")
        monkeypatch.setattr(weights, "resnet101_weights", lambda: published)

        assert main(["--mirror", str(folder)]) == 0  # the instructor, the day before
        printed = capsys.readouterr().out
        assert f"python -m http.server --directory {folder} 8000" in printed
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
    assert f"mirror     {address}" in printed
    assert "4 cats, 4 dogs in " in printed and "2 cats, 2 dogs in " in printed
    assert f"resnet101: {format_bytes(len(WEIGHTS))} in {hub / WEIGHTS_NAME}" in printed
    assert not public.requests
    assert (folder / ARCHIVE_NAME).exists()  # what is served to a class is never deleted


def test_nothing_to_serve_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COURSE_PROFILE", "sample")
    assert main(["--mirror", str(tmp_path / "class")]) == 1
    assert "need no download, so there is nothing to serve" in capsys.readouterr().err
    assert not (tmp_path / "class").exists()


def test_an_archive_of_ones_own_from_a_server_of_python(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "pets.zip").write_bytes(ARCHIVE)
    with serve_with_python(folder) as address:
        folders = fetch_dataset(find_source(f"{address}/pets.zip"), tmp_path / "home")
    assert len(list(folders.train.glob("*/*.jpg"))) == 8


def test_weights_that_cannot_be_had_end_the_command_with_one_sentence(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COURSE_PROFILE", "sample")
    monkeypatch.setenv("COURSE_BACKBONE", "resnet101")
    assert main([]) == 1
    errors = capsys.readouterr().err
    sentence = errors.split("\r")[-1].strip()  # progress bars end with a carriage return
    assert sentence.startswith("ResNet-101's weights could not be downloaded (https://")
    assert sentence.endswith("run this again.") and "\n" not in sentence


def test_mirror_goes_before_the_public_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_MIRROR", "http://192.168.0.10:8000/")
    assert find_source("full").addresses == (
        "http://192.168.0.10:8000/dogscats.tgz",
        *SOURCES["full"].addresses,
    )
    assert find_source("sample") == SOURCES["sample"]
    assert find_source("http://school/pets.zip").addresses == ("http://school/pets.zip",)


@pytest.mark.parametrize("address", ["192.168.0.10:8000", "http://", "ftp://a/b", "/media/stick"])
def test_mirror_that_is_no_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_MIRROR", address)
    with pytest.raises(CourseError, match="COURSE_MIRROR is .*no address of a folder"):
        load_settings("sample")


def test_classroom_settings_are_shown_where_they_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings("sample")
    assert "shared" not in settings.describe() and "mirror" not in settings.describe()
    assert find_mirror() is None and find_shared() is None
    monkeypatch.setenv("COURSE_MIRROR", "http://school.example/pets/")
    monkeypatch.setenv("COURSE_SHARED", str(tmp_path))
    rows = [line.split()[:2] for line in settings.describe().splitlines()]
    assert rows[3][0] == "home"
    assert rows[4:6] == [["mirror", "http://school.example/pets"], ["shared", str(tmp_path)]]
    monkeypatch.setenv("COURSE_SHARED", str(tmp_path / "gone"))
    with pytest.raises(CourseError, match="There is no folder .*gone: set COURSE_SHARED"):
        load_settings("sample")


# One interpreter, since importing takes longest; what it forks are processes of their own.
CLASSROOM = """
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn, optim

from utils.data import open_dataset
from utils.pictures import decode_split
from utils.runs import find_folder, save_run
from utils.settings import load_settings
from utils.training import Plan, evaluate, fit
from utils.weights import Preprocessing


def learn(size):
    torch.set_num_threads(1)
    settings = replace(load_settings("sample"), device="cpu", precision="float32")
    dataset = open_dataset(settings)
    half = (0.5, 0.5, 0.5)
    plan = Plan(1, Preprocessing(size, 16, "bilinear", half, half))
    train, validation, test = (
        decode_split(split, plan.preprocessing, settings.home)
        for split in (dataset.train, dataset.validation, dataset.test)
    )
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    checkpoint = find_folder(settings, "custom_cnn") / "checkpoint.pt"
    fit(model, optimizer, train, validation, plan, checkpoint=checkpoint)
    result = evaluate(model, test, plan)
    save_run(
        settings, "custom_cnn", dataset, train, result, model,
        epochs=1, seconds=1, trainable_parameters=1,
    )


def start(home, size, shared=""):
    process = os.fork()
    if process:
        return process
    os.environ |= {"COURSE_HOME": str(home), "COURSE_SHARED": str(shared)}
    try:
        learn(size)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def wait(*processes):
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]


def set_permissions(root, folder_mode, file_mode):
    for path in [root, *root.rglob("*")]:
        path.chmod(folder_mode if path.is_dir() else file_mode)


home = Path(sys.argv[1])
shared = home / "shared"
codes = wait(start(shared, 24))
set_permissions(shared, 0o555, 0o444)
# Bob decodes to a size that the instructor has not prepared; Eve takes the folder for her home.
codes += wait(start(home / "ada", 24, shared), start(home / "bob", 28, shared), start(shared, 28))
set_permissions(shared, 0o755, 0o644)
print("codes", codes)
"""


def make_archive(path: Path) -> Path:
    """Small real pictures of two classes."""
    files = {}
    generator = np.random.default_rng(0)
    for name in make_pictures(train=4, test=2):
        file = io.BytesIO()
        noise = generator.integers(0, 256, (30, 30, 3)).astype(np.uint8)
        Image.fromarray(noise).save(file, "PNG")
        files[name] = file.getvalue()
    path.write_bytes(pack_zip(files))
    return path


@pytest.mark.slow
def test_many_processes_share_one_folder_that_they_may_only_read(
    bound_by_permissions: list[str], tmp_path: Path
) -> None:
    data = {"COURSE_DATA": str(make_archive(tmp_path / "pets.zip"))}
    run = subprocess.run(
        [*bound_by_permissions, sys.executable, "-c", CLASSROOM, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | data,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert "codes [0, 0, 0, 1]" in run.stdout, run.stderr
    assert f"{tmp_path / 'shared' / 'cache' / 'pictures'} cannot be written to" in run.stderr
    assert sorted(path.name for path in (tmp_path / "shared").iterdir()) == [
        "cache", "datasets", "downloads", "runs",
    ]  # fmt: skip
    assert not [path for path in (tmp_path / "shared" / "cache").rglob("*-28-*")]
    assert [path.name for path in (tmp_path / "ada").iterdir()] == ["runs"]
    assert sorted(path.name for path in (tmp_path / "bob").iterdir()) == ["cache", "runs"]
    for home in ("ada", "bob"):
        assert len(list((tmp_path / home).glob("runs/*/custom_cnn/run.json"))) == 1


def test_an_archive_in_the_shared_folder_is_unpacked_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "http://127.0.0.1:9/pets.zip"
    source = find_source(address)
    by_hand = tmp_path / "shared" / "downloads" / source.file_name
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(ARCHIVE)
    monkeypatch.setenv("COURSE_SHARED", str(tmp_path / "shared"))
    folders = fetch_dataset(source, tmp_path / "home")
    assert folders.root == tmp_path / "home" / "datasets" / source.name
    assert list_files(tmp_path / "shared") == {f"downloads/{source.file_name}": ARCHIVE}
    # Another learner finds it unpacked there, if the instructor has done so.
    shutil.move(tmp_path / "home" / "datasets", tmp_path / "shared")
    again = fetch_dataset(source, tmp_path / "other home")
    assert again.root == tmp_path / "shared" / "datasets" / source.name
    assert not (tmp_path / "other home").exists()


def test_weights_in_the_shared_folder_are_used_where_they_lie(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = SimpleNamespace(url=f"http://127.0.0.1:9/{WEIGHTS_NAME}")
    monkeypatch.setattr(weights, "resnet101_weights", lambda: published)
    monkeypatch.setenv("COURSE_SHARED", str(tmp_path))
    by_hand = tmp_path / "downloads" / WEIGHTS_NAME
    by_hand.parent.mkdir()
    by_hand.write_bytes(WEIGHTS)
    assert weights.fetch_weights("resnet101") == by_hand
    assert not list(hub.iterdir())
    by_hand.write_bytes(WEIGHTS[:-1])
    with pytest.raises(CourseError, match="could not be downloaded"):
        weights.fetch_weights("resnet101")
    assert by_hand.exists()  # somebody else's file is not touched
