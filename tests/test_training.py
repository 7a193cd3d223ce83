"""The loop, and training that is interrupted, continued, damaged and counted."""

import copy
import errno
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import make_loader, make_small_network
from torch import nn

from utils.models import freeze
from utils.settings import CourseError
from utils.training import (
    QUANTITIES,
    collect_logits,
    criterion,
    evaluate,
    fit,
    read_checkpoint,
    train_one_epoch,
    write_checkpoint,
)

TRAIN = make_loader()
VALIDATION = make_loader(10, seed=1, shuffle=False)
IDENTITY = {"network": "a small one", "seed": "0"}
CONTENT = {"model": {"weight": torch.arange(2000.0)}, "history": {"seconds": [1.0]}}


def make_training(learning_rate: float = 0.01) -> tuple:
    """The same network with dropout and batch norm every time, its optimizer and a schedule."""
    model = make_small_network()
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step / 5))
    return model, optimizer, schedule


def train(checkpoint: Path | None = None, stop_after: int | None = None, epochs: int = 3):
    """Train from the beginning or from `checkpoint`; `stop_after` interrupts as a learner does."""

    def interrupt(history: dict) -> None:
        epochs_seen.append(len(history["seconds"]))
        if len(history["seconds"]) == stop_after:
            raise KeyboardInterrupt

    epochs_seen: list[int] = []
    model, optimizer, schedule = make_training()
    torch.manual_seed(3)
    try:
        history = fit(
            model, TRAIN, VALIDATION, optimizer, epochs, schedule, checkpoint, on_epoch=interrupt
        )
    except KeyboardInterrupt:
        history = None
    return model, history, epochs_seen


def assert_same_weights(first: nn.Module, second: nn.Module) -> None:
    others = second.state_dict()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, others[name]), name


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[nn.Module, dict]:
    model, history, _ = train()
    return model, history


def test_one_epoch_equals_a_loop_written_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # tqdm.auto calls iter() on the loader once more, which draws from PyTorch's global seed.
    monkeypatch.setattr("utils.training.tqdm", lambda loader, **options: loader)
    model, optimizer, _ = make_training()
    torch.manual_seed(5)
    loss, accuracy = train_one_epoch(model, TRAIN, optimizer)

    plain, optimizer, _ = make_training()
    torch.manual_seed(5)
    plain.train()
    losses, correct = [], 0
    for images, labels in TRAIN:
        optimizer.zero_grad()
        logits = plain(images)
        batch_loss = criterion(logits, labels)
        batch_loss.backward()
        optimizer.step()
        losses.append(batch_loss.item() * len(labels))
        correct += int((logits.argmax(dim=1) == labels).sum())
    assert_same_weights(model, plain)
    assert loss == pytest.approx(sum(losses) / 20)
    assert accuracy == correct / 20


def test_accuracy_is_correct_by_seen_with_a_short_last_batch() -> None:
    """17 images are two batches of 8 and one of 1: a mean of batch means would give 2/3."""

    class AnswersZero(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[1.0, 0.0]]).expand(len(images), 2)

    loader = make_loader(17, shuffle=False)
    loader.dataset.tensors[1][:] = 0
    loader.dataset.tensors[1][16] = 1
    assert evaluate(AnswersZero(), loader)[1] == 16 / 17


def test_evaluation_keeps_order_and_ignores_the_seed() -> None:
    model, _, _ = make_training()
    torch.manual_seed(1)
    first, labels = collect_logits(model, VALIDATION)
    torch.manual_seed(2)
    assert torch.equal(first, collect_logits(model, VALIDATION)[0])
    assert torch.equal(labels, VALIDATION.dataset.tensors[1])
    assert evaluate(model, VALIDATION)[0] == pytest.approx(criterion(first, labels).item())


def test_fit_is_the_typed_loop_epoch_by_epoch() -> None:
    """Notebook 02 trains by hand with `torch.manual_seed(epoch)`: seed 0 of fit."""
    by_hand, optimizer, _ = make_training()
    for epoch in range(3):
        torch.manual_seed(epoch)
        train_one_epoch(by_hand, TRAIN, optimizer)
        evaluate(by_hand, VALIDATION)
    model, optimizer, _ = make_training()
    torch.manual_seed(0)
    history = fit(model, TRAIN, VALIDATION, optimizer, 3)
    assert_same_weights(model, by_hand)
    assert list(history) == list(QUANTITIES) and len(history["seconds"]) == 3
    assert torch.initial_seed() == 0  # the caller's random numbers are its own


@pytest.mark.parametrize("stop_after", [1, 2])
def test_interrupted_training_ends_with_the_same_bits(tmp_path, uninterrupted, stop_after) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    stopped, history, _ = train(checkpoint, stop_after)
    assert history is None
    assert not torch.equal(stopped.fc.weight, uninterrupted[0].fc.weight)
    resumed, history, epochs_seen = train(checkpoint)
    assert epochs_seen == list(range(stop_after + 1, 4))
    assert_same_weights(resumed, uninterrupted[0])
    for name in QUANTITIES[:-1]:
        assert history[name] == uninterrupted[1][name]


def test_finished_training_is_not_trained_again(tmp_path, uninterrupted) -> None:
    train(tmp_path / "checkpoint.pt")
    model, history, epochs_seen = train(tmp_path / "checkpoint.pt")
    assert epochs_seen == [] and len(history["seconds"]) == 3
    assert_same_weights(model, uninterrupted[0])


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
def test_truncated_checkpoint_gives_way_to_the_one_before(tmp_path, uninterrupted, capsys, keep):
    checkpoint = tmp_path / "checkpoint.pt"
    train(checkpoint, stop_after=2)
    content = checkpoint.read_bytes()
    keep = int(len(content) * keep) if isinstance(keep, float) else keep
    checkpoint.write_bytes(content[:keep])
    model, _, epochs_seen = train(checkpoint)
    assert epochs_seen == [2, 3]
    assert_same_weights(model, uninterrupted[0])
    assert (tmp_path / "checkpoint.pt.damaged").read_bytes() == content[:keep]
    assert "damaged" in capsys.readouterr().out


def test_both_checkpoints_damaged_start_from_the_beginning(tmp_path, uninterrupted) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    train(checkpoint, stop_after=2)
    checkpoint.write_bytes(b"no checkpoint")
    (tmp_path / "checkpoint.pt.previous").write_bytes(b"")
    model, _, epochs_seen = train(checkpoint)
    assert epochs_seen == [1, 2, 3]
    assert_same_weights(model, uninterrupted[0])


def test_a_changed_weight_is_noticed(tmp_path: Path, uninterrupted) -> None:
    """torch.load alone would go on with it: it passes over the checksums in the file."""
    checkpoint = tmp_path / "checkpoint.pt"
    train(checkpoint, stop_after=2)
    weights = torch.load(checkpoint, weights_only=True)["model"]["fc.weight"].numpy().tobytes()
    content = bytearray(checkpoint.read_bytes())
    content[content.index(weights) + 5] ^= 1
    checkpoint.write_bytes(content)
    torch.load(checkpoint, weights_only=True)  # the test's own premise
    model, _, epochs_seen = train(checkpoint)
    assert epochs_seen == [2, 3]
    assert_same_weights(model, uninterrupted[0])


CHANGES = "rate", "network", "images", "transform", "seed", "batch size", "frozen", "schedule"


@pytest.mark.parametrize("what", CHANGES)
def test_checkpoint_of_another_training_is_put_aside(tmp_path, capsys, what: str) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    train(checkpoint, stop_after=1)
    content = checkpoint.read_bytes()
    model, loader = make_small_network(3 if what == "network" else 2), TRAIN
    if what == "images":
        loader = make_loader(seed=7)
    elif what == "transform":
        loader = make_loader()
        loader.dataset.transform = "another"
    elif what == "batch size":
        loader = torch.utils.data.DataLoader(TRAIN.dataset, batch_size=4, shuffle=True)
    elif what == "frozen":
        freeze(model.body[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02 if what == "rate" else 0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step / 5))
    schedule = None if what == "schedule" else schedule
    torch.manual_seed(4 if what == "seed" else 3)
    epochs: list = []
    fit(model, loader, VALIDATION, optimizer, 3, schedule, checkpoint, epochs.append)
    assert len(epochs) == 3  # all of them
    (other,) = tmp_path.glob("checkpoint.pt.other-*")
    assert other.read_bytes() == content
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("The checkpoint checkpoint.pt is of another training (")
    assert first.endswith(f"kept as {other.name}.")
    assert len(first) < 400 and second == "Training goes on from the beginning."


def test_more_epochs_go_on_where_the_training_ended(tmp_path: Path) -> None:
    """Without a schedule the number of epochs decides nothing about the epochs before."""

    def run(epochs: int, checkpoint: Path | None) -> nn.Module:
        model, optimizer, _ = make_training()
        torch.manual_seed(3)
        fit(model, TRAIN, VALIDATION, optimizer, epochs, checkpoint=checkpoint)
        return model

    run(1, tmp_path / "checkpoint.pt")
    assert_same_weights(run(2, tmp_path / "checkpoint.pt"), run(2, None))


def test_disk_full_while_saving_loses_no_epoch(tmp_path, monkeypatch, uninterrupted) -> None:
    checkpoint = tmp_path / "checkpoint.pt"

    def fill_the_disk(*_) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    model, optimizer, schedule = make_training()
    torch.manual_seed(3)
    with monkeypatch.context() as patch, pytest.raises(CourseError, match="is full: make room"):
        fit(
            model,
            TRAIN,
            VALIDATION,
            optimizer,
            3,
            schedule,
            checkpoint,
            lambda history: patch.setattr(os, "fsync", fill_the_disk),
        )
    model, _, epochs_seen = train(checkpoint)
    assert epochs_seen == [2, 3]
    assert_same_weights(model, uninterrupted[0])


def test_a_second_training_that_is_put_aside_leaves_the_first(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    for seed in ("1", "2"):
        write_checkpoint(checkpoint, IDENTITY | {"seed": seed}, {"weights": torch.zeros(1)})
        assert read_checkpoint(checkpoint, IDENTITY | {"seed": "3"}) is None
    assert len(list(tmp_path.glob("checkpoint.pt.other-*"))) == 2


def test_an_interrupted_training_leaves_the_optimizer_as_it_was(tmp_path, uninterrupted) -> None:
    """A learner runs the cell of `fit` again, and not the cell that makes the optimizer."""
    checkpoint = tmp_path / "checkpoint.pt"
    model, optimizer, schedule = make_training()
    torch.manual_seed(3)
    parts = model, TRAIN, VALIDATION, optimizer, 3, schedule, checkpoint

    def interrupt(history: dict) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(*parts, interrupt)
    fit(*parts)
    assert_same_weights(model, uninterrupted[0])


def test_checkpoint_of_a_gpu_is_read_on_a_cpu(tmp_path: Path, monkeypatch) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        write_checkpoint(checkpoint, IDENTITY, {"weights": torch.arange(3.0)})
    saved = read_checkpoint(checkpoint, IDENTITY)
    assert saved["weights"].device.type == "cpu" and saved["weights"].tolist() == [0, 1, 2]


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class RunsCode:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "made by the checkpoint"),)

    write_checkpoint(tmp_path / "checkpoint.pt", IDENTITY, {"model": RunsCode()})
    assert read_checkpoint(tmp_path / "checkpoint.pt", IDENTITY) is None
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt.damaged"]


@given(
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4),
    kept=st.floats(0, 1),
)
def test_mutated_checkpoints_are_whole_or_put_aside(tmp_path_factory, changes, kept) -> None:
    checkpoint = tmp_path_factory.mktemp("mutated") / "checkpoint.pt"
    write_checkpoint(checkpoint, IDENTITY, CONTENT)
    content = bytearray(checkpoint.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    checkpoint.write_bytes(content[: int(kept * len(content))] if kept < 0.5 else content)
    saved = read_checkpoint(checkpoint, IDENTITY)
    if saved is None:
        (left,) = (path.name for path in checkpoint.parent.iterdir())
        assert left == "checkpoint.pt.damaged" or left.startswith("checkpoint.pt.other-")
    else:
        assert torch.equal(saved["model"]["weight"], CONTENT["model"]["weight"])


def test_frozen_statistics_and_weights_stay() -> None:
    from utils.finetuning import keep_statistics

    model, _, _ = make_training()
    freeze(model)
    model.fc.requires_grad_(True)
    keep_statistics(model)
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.Adam(model.fc.parameters(), lr=0.01)
    fit(model, TRAIN, VALIDATION, optimizer, 2)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == (not name.startswith("fc.")), name
