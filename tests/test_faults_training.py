"""Checkpoints that were cut, changed, or made by something else; faults by the design's numbers."""

import errno
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import soak
import torch
from hypothesis import given
from hypothesis import strategies as st
from patience import HANG
from test_training import PLAN, TRAIN, VALIDATION, assert_same_weights, make_training, train
from torch import nn

from utils.checkpoints import find_previous, read_checkpoint, write_checkpoint
from utils.errors import CourseError
from utils.exercises_03 import make_small_network
from utils.models import CustomCNN, freeze
from utils.training import describe_training, fit

IDENTITY = {"network": "a small one", "seed": "0"}
CONTENT = {"model": {"weight": torch.arange(2000.0)}, "history": {"seconds": [1.0]}}


def flip_a_weight(path: Path) -> None:
    """Change one bit of one weight, and nothing else in the file."""
    weights = torch.load(path, weights_only=True)["model"]["fc.weight"].numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(weights) + 5] ^= 1
    path.write_bytes(content)


def test_fault_30_a_changed_weight_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture):
    """torch.load alone would go on with it: it passes over the checksums in the file."""
    checkpoint = tmp_path / "checkpoint.pt"
    train(checkpoint, stop_after=2)
    flip_a_weight(checkpoint)
    torch.load(checkpoint, weights_only=True)  # the test's own premise
    model, _, epochs_seen = train(checkpoint)
    assert epochs_seen == [2, 3]
    assert_same_weights(model, train()[0])
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "The checkpoint checkpoint.pt is damaged (BadZipFile): kept as checkpoint.pt.damaged.",
        "Training goes on from the checkpoint before it.",
    ]


@given(
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4),
    kept=st.floats(0, 1),
)
def test_fault_30_mutated_checkpoints_are_whole_or_put_aside(tmp_path_factory, changes, kept):
    checkpoint = tmp_path_factory.mktemp("mutated") / "checkpoint.pt"
    write_checkpoint(checkpoint, IDENTITY, CONTENT)
    content = bytearray(checkpoint.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    checkpoint.write_bytes(content[: int(kept * len(content))] if kept < 0.5 else content)
    saved = read_checkpoint(checkpoint, IDENTITY)
    if saved is None:
        assert [path.name for path in checkpoint.parent.iterdir()] in (
            ["checkpoint.pt.damaged"], ["checkpoint.pt.other"],
        )  # fmt: skip
    else:
        assert torch.equal(saved["model"]["weight"], CONTENT["model"]["weight"])


def save_halfway(checkpoint: Path, begun: Path) -> None:
    """What a process does that is killed while it saves: half of the file, and no more."""

    def write_half(content: dict, file) -> None:
        file.write(b"PK\x03\x04" + bytes(10_000))
        file.flush()
        begun.touch()
        time.sleep(2 * HANG)

    torch.save = write_half
    write_checkpoint(checkpoint, IDENTITY, CONTENT)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs SIGKILL, and a fork of what has torch")
def test_fault_30_killed_while_saving(tmp_path: Path) -> None:
    checkpoint, begun = tmp_path / "checkpoint.pt", tmp_path / "begun"
    write_checkpoint(checkpoint, IDENTITY, CONTENT)
    process = soak.start(save_halfway, checkpoint, begun)
    while not begun.exists() and process.is_alive():
        time.sleep(0.002)
    process.kill()
    process.join()
    leftover = [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]
    assert len(leftover) == 1 and leftover[0].stat().st_size > 10_000
    saved = read_checkpoint(checkpoint, IDENTITY)
    assert torch.equal(saved["model"]["weight"], CONTENT["model"]["weight"])
    write_checkpoint(checkpoint, IDENTITY, CONTENT)
    names = {"begun", checkpoint.name, find_previous(checkpoint).name}
    assert {path.name for path in tmp_path.iterdir()} == names  # half a file takes room


def test_fault_30_disk_full_while_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "checkpoint.pt"

    def fill_the_disk(*_) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def interrupt(history) -> None:
        monkeypatch.setattr(os, "fsync", fill_the_disk)

    model, optimizer, schedule = make_training()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", os.fsync)
        with pytest.raises(CourseError, match=f"The disk of {tmp_path} is full: make room"):
            fit(model, optimizer, TRAIN, VALIDATION, PLAN, schedule, checkpoint, interrupt)
        monkeypatch.undo()
    model, _, epochs_seen = train(checkpoint)
    assert epochs_seen == [2, 3]  # the epoch before the full disk is not lost
    assert_same_weights(model, train()[0])


def make_changed(what: str) -> tuple:
    """The usual training with one thing changed, and the word for it."""
    model, optimizer, schedule = make_training()
    plan = PLAN
    if what == "another kind of network":
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 2))
    elif what == "more dropout":  # the same parameters
        model.flatten[1].p = 0.5
    elif what == "only the head":
        freeze(model)
        model.fc.requires_grad_(True)
    elif what == "batch size":
        plan = replace(PLAN, batch_size=4)
    if what != "batch size":
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(trainable, lr=0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step / 5))
    return model, optimizer, schedule, plan


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("another kind of network", ["network: ", " there, Sequential, 24,578 parameters"]),
        ("more dropout", ["network: "]),
        ("only the head", ["optimizer: ", "'tensors': 6", "'tensors': 2"]),
        ("batch size", ["batch_size: 8 there, 4 here"]),
    ],
)
def test_fault_31_what_differs_is_said_in_a_line(
    what: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    train(checkpoint, stop_after=1)
    content = checkpoint.read_bytes()
    capsys.readouterr()
    model, optimizer, schedule, plan = make_changed(what)
    epochs: list = []
    fit(model, optimizer, TRAIN, VALIDATION, plan, schedule, checkpoint, epochs.append)
    assert len(epochs) == PLAN.epochs  # all of them
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("The checkpoint checkpoint.pt is of another training (")
    assert all(word in first for word in words) and len(first) < 400, first
    assert second == "Training goes on from the beginning."
    assert (tmp_path / "checkpoint.pt.other").read_bytes() == content


def test_fault_31_large_networks_have_short_names() -> None:
    model = CustomCNN(2)
    optimizer = torch.optim.Adam(model.parameters())
    described = describe_training(model, optimizer, TRAIN, PLAN, None)
    assert described["network"].startswith("CustomCNN, 11,169,218 parameters (")
    again = describe_training(CustomCNN(2), optimizer, TRAIN, PLAN, None)
    assert described == again  # the same in every kernel, or nothing would ever be resumed


def test_fault_31_checkpoint_of_somebody_elses_program(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    torch.save(make_small_network(2).state_dict(), checkpoint)
    assert read_checkpoint(checkpoint, IDENTITY) is None
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt.damaged"]


def test_fault_32_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class RunsCode:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "made by the checkpoint"),)

    write_checkpoint(tmp_path / "checkpoint.pt", IDENTITY, {"model": RunsCode()})
    assert read_checkpoint(tmp_path / "checkpoint.pt", IDENTITY) is None
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt.damaged"]
