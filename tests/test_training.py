"""Training that is interrupted, continued, frozen and counted."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from utils.augmentation import Augmentation, draw_views
from utils.checkpoints import find_previous, read_checkpoint, write_checkpoint
from utils.data import Split
from utils.exercises_03 import make_small_network
from utils.models import freeze, replace_head
from utils.pictures import Pictures, make_loader
from utils.precision import make_scaler
from utils.training import (
    Evaluation,
    History,
    Plan,
    evaluate,
    fit,
    train_one_epoch,
)
from utils.weights import Preprocessing

SMALL = Preprocessing(72, 64, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PLAN = Plan(epochs=3, preprocessing=SMALL, batch_size=8, seed=3)


def make_pictures(count: int = 20, seed: int = 0, name: str = "train") -> Pictures:
    """Noise on two levels of grey; the class is the level."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    noise = generator.integers(0, 120, (count, 72, 72, 3))
    array = (noise + 100 * labels[:, None, None, None]).astype(np.uint8)
    paths = tuple(Path(f"{name}-{row}.png") for row in range(count))
    return Pictures(Split(name, paths, labels, ("cats", "dogs")), array, f"{name}-{seed}")


TRAIN = make_pictures()
VALIDATION = make_pictures(10, 1, "validation")


def make_training(learning_rate: float = 0.01) -> tuple:
    """The same network with dropout and batch norm every time, its optimiser and a schedule."""
    model = make_small_network(2)
    model.flatten = nn.Sequential(nn.Flatten(), nn.Dropout(0.3))
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step / 5))
    return model, optimizer, schedule


def train(checkpoint: Path | None = None, stop_after: int | None = None, plan: Plan = PLAN):
    """Train from the beginning or from `checkpoint`; `stop_after` interrupts as a learner does."""

    def interrupt(history: History) -> None:
        epochs_seen.append(len(history.seconds))
        if len(history.seconds) == stop_after:
            raise KeyboardInterrupt

    epochs_seen: list[int] = []
    model, optimizer, schedule = make_training()
    torch.manual_seed(12345 if checkpoint is None else 54321)  # what happened before must not count
    try:
        history = fit(
            model, optimizer, TRAIN, VALIDATION, plan, schedule, checkpoint, on_epoch=interrupt
        )
    except KeyboardInterrupt:
        history = None
    return model, history, epochs_seen


def assert_same_weights(first: nn.Module, second: nn.Module) -> None:
    others = second.state_dict()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, others[name]), name


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[nn.Module, History]:
    model, history, _ = train()
    return model, history


@pytest.mark.parametrize("stop_after", [1, 2])
def test_interrupted_training_ends_with_the_same_bits(tmp_path, uninterrupted, stop_after):
    checkpoint = tmp_path / "checkpoint.pt"
    stopped, history, _ = train(checkpoint, stop_after)
    assert history is None
    assert not torch.equal(stopped.fc.weight, uninterrupted[0].fc.weight)
    resumed, history, epochs_seen = train(checkpoint)
    assert epochs_seen == list(range(stop_after + 1, 4))
    assert_same_weights(resumed, uninterrupted[0])
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert getattr(history, name) == getattr(uninterrupted[1], name)


def test_finished_training_is_not_trained_again(tmp_path, uninterrupted):
    train(tmp_path / "checkpoint.pt")
    model, history, epochs_seen = train(tmp_path / "checkpoint.pt")
    assert epochs_seen == [] and len(history.seconds) == 3
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


def test_both_checkpoints_damaged_start_from_the_beginning(tmp_path, uninterrupted):
    checkpoint = tmp_path / "checkpoint.pt"
    train(checkpoint, stop_after=2)
    checkpoint.write_bytes(b"no checkpoint")
    find_previous(checkpoint).write_bytes(b"")
    model, _, epochs_seen = train(checkpoint)
    assert epochs_seen == [1, 2, 3]
    assert_same_weights(model, uninterrupted[0])


def test_checkpoint_of_another_learning_rate_is_put_aside(tmp_path, capsys):
    checkpoint = tmp_path / "checkpoint.pt"
    train(checkpoint, stop_after=1)
    content = checkpoint.read_bytes()
    model, optimizer, schedule = make_training(learning_rate=0.02)
    history = fit(model, optimizer, TRAIN, VALIDATION, PLAN, schedule, checkpoint)
    assert len(history.seconds) == 3
    assert (tmp_path / "checkpoint.pt.other").read_bytes() == content
    assert "0.01" in capsys.readouterr().out
    fresh, optimizer, schedule = make_training(learning_rate=0.02)
    fit(fresh, optimizer, TRAIN, VALIDATION, PLAN, schedule)
    assert_same_weights(model, fresh)


@pytest.mark.parametrize("what", ["network", "pictures", "seed", "augmentation"])
def test_checkpoint_of_another_training_is_put_aside(tmp_path, what):
    checkpoint = tmp_path / "checkpoint.pt"
    train(checkpoint, stop_after=1)
    model, optimizer, schedule = make_training()
    pictures, plan = TRAIN, replace(PLAN, epochs=3)
    if what == "network":
        model = make_small_network(3)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step / 5))
    elif what == "pictures":
        pictures = make_pictures(seed=7)
    elif what == "seed":
        plan = replace(plan, seed=4)
    else:
        plan = replace(plan, augmentation=None)
    epochs = []
    fit(model, optimizer, pictures, VALIDATION, plan, schedule, checkpoint, epochs.append)
    assert len(epochs) == 3
    assert (tmp_path / "checkpoint.pt.other").is_file()


def test_more_epochs_go_on_where_the_training_ended(tmp_path):
    """Without a schedule the number of epochs decides nothing about the epochs before."""

    def run(epochs: int, checkpoint: Path | None) -> nn.Module:
        model, optimizer, _ = make_training()
        plan = replace(PLAN, epochs=epochs)
        fit(model, optimizer, TRAIN, VALIDATION, plan, checkpoint=checkpoint)
        return model

    run(1, tmp_path / "checkpoint.pt")
    assert_same_weights(run(2, tmp_path / "checkpoint.pt"), run(2, None))


def test_checkpoint_of_a_gpu_is_read_on_a_cpu(tmp_path, monkeypatch):
    checkpoint = tmp_path / "checkpoint.pt"
    identity = {"network": "made on a GPU"}
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        write_checkpoint(checkpoint, identity, {"weights": torch.arange(3.0)})
    if not torch.cuda.is_available():  # the test's own premise: nothing but map_location helps
        with pytest.raises(RuntimeError):
            torch.load(checkpoint, weights_only=True)
    saved = read_checkpoint(checkpoint, identity)
    assert saved["weights"].device.type == "cpu"
    assert saved["weights"].tolist() == [0, 1, 2]


def test_one_epoch_equals_a_loop_written_by_hand(monkeypatch):
    # tqdm.auto calls iter() on the loader once more, which draws from PyTorch's global seed.
    monkeypatch.setattr("utils.training.tqdm", lambda loader, **options: loader)
    model, optimizer, schedule = make_training()
    torch.manual_seed(5)
    loss, accuracy = train_one_epoch(
        model, optimizer, TRAIN, PLAN, make_scaler("cpu", "float32"), schedule
    )

    plain, optimizer, schedule = make_training()
    torch.manual_seed(5)
    plain.train()
    losses, correct = [], 0
    for images, labels in make_loader(TRAIN, 8, shuffle=True):
        inputs = draw_views(images, SMALL, Augmentation())
        logits = plain(inputs.contiguous(memory_format=torch.channels_last))
        batch_loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        batch_loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(batch_loss.item() * len(labels))
        correct += int((logits.argmax(dim=1) == labels).sum())
    assert_same_weights(model, plain)
    assert loss == pytest.approx(sum(losses) / 20, rel=1e-5)
    assert accuracy == correct / 20


def test_gradients_are_clipped():
    plan = replace(PLAN, largest_gradient=1e-6)
    model, _, _ = make_training()
    before = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    torch.manual_seed(0)
    train_one_epoch(model, optimizer, TRAIN, plan, make_scaler("cpu", "float32"))
    old = nn.utils.parameters_to_vector(before.parameters())
    moved = (nn.utils.parameters_to_vector(model.parameters()) - old).norm()
    assert 0 < moved < 4e-6  # three batches


def test_frozen_backbone_does_not_move():
    model = make_small_network(10)
    freeze(model)
    replace_head(model, 2)
    before = copy.deepcopy(model)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    fit(model, optimizer, TRAIN, VALIDATION, PLAN)
    others = model.state_dict()
    body = {name: old for name, old in before.state_dict().items() if not name.startswith("fc.")}
    assert "norm.running_mean" in body and "norm.num_batches_tracked" in body
    for name, tensor in body.items():
        assert torch.equal(tensor, others[name]), name
    assert not torch.equal(before.fc.weight, model.fc.weight)


def test_frozen_statistics_stay_while_weights_train():
    model, optimizer, _ = make_training()
    before = copy.deepcopy(model)
    fit(model, optimizer, TRAIN, VALIDATION, replace(PLAN, epochs=1, freeze_statistics=True))
    assert torch.equal(before.norm.running_mean, model.norm.running_mean)
    assert torch.equal(before.norm.running_var, model.norm.running_var)
    assert not torch.equal(before.norm.weight, model.norm.weight)


def test_accuracy_is_correct_by_seen_with_a_short_last_batch():
    """65 pictures are two batches of 32 and one of 1: a mean of batch means would give 2/3."""

    class AnswersZero(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[1.0, 0.0]]).expand(len(images), 2)

    pictures = make_pictures(65)
    labels = np.zeros(65, dtype=np.int64)
    labels[64] = 1
    split = replace(pictures.split, labels=labels)
    result = evaluate(AnswersZero(), replace(pictures, split=split), PLAN)
    assert (result.correct, len(result.labels)) == (64, 65)
    assert result.accuracy == 64 / 65
    assert result.loss == pytest.approx(F.cross_entropy(result.logits, result.labels).item())


def test_evaluation_keeps_order_and_ignores_the_seed():
    model, _, _ = make_training()
    torch.manual_seed(1)
    first = evaluate(model, VALIDATION, PLAN)
    torch.manual_seed(2)
    second = evaluate(model, VALIDATION, PLAN)
    assert torch.equal(first.logits, second.logits)
    assert first.labels.tolist() == VALIDATION.split.labels.tolist()
    assert isinstance(first, Evaluation)
