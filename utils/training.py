"""One training loop for every network of the course, with history, checkpoints and exact resume."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset, Subset
from tqdm.auto import tqdm

from utils.augmentation import Augmentation, crop_center, draw_views
from utils.checkpoints import describe_training, read_checkpoint, write_checkpoint
from utils.models import set_training_mode
from utils.pictures import Pictures, make_loader
from utils.precision import autocast, make_scaler
from utils.processes import ONE_PROCESS, OneProcess
from utils.settings import release_freed_memory
from utils.weights import Preprocessing

# All channels of a pixel beside each other: convolutions run up to twice as fast that way.
LAYOUT = torch.channels_last
# Pictures at once where nothing is learned. On processors more are no faster and need more memory.
INFERENCE_BATCH = {"cpu": 16, "cuda": 64, "mps": 64}


@dataclass(frozen=True)
class Plan:
    """How to train: what decides the final weights, apart from model and pictures."""

    epochs: int
    preprocessing: Preprocessing
    augmentation: Augmentation | None = Augmentation()  # None: the same centre crop every time
    batch_size: int = 32
    seed: int = 0
    evaluations_per_epoch: int = 1  # more: measured and saved within the epoch as well
    freeze_statistics: bool = False  # keep all batch norm in eval mode
    largest_gradient: float | None = None  # norm to which gradients are clipped
    device: str = "cpu"
    precision: str = "float32"


@dataclass
class History:
    """One number an evaluation in each list; losses are means over pictures, accuracies in 0..1."""

    train_loss: list[float] = field(default_factory=list)  # of pictures shown since the last one
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def append(self, **numbers: float) -> None:
        for name, number in numbers.items():
            getattr(self, name).append(number)


@dataclass(frozen=True)
class Evaluation:
    """What a network says about every picture of a split."""

    logits: torch.Tensor  # float32 [N, classes]
    labels: torch.Tensor  # int64 [N]

    @property
    def loss(self) -> float:
        """Mean cross-entropy over the pictures."""
        return F.cross_entropy(self.logits, self.labels).item()

    @property
    def correct(self) -> int:
        return (self.logits.argmax(dim=1) == self.labels).sum().item()

    @property
    def accuracy(self) -> float:
        """Correct ÷ seen."""
        return self.correct / len(self.labels)


def fit(
    model: nn.Module,
    optimizer: Optimizer,
    train: Pictures,
    validation: Pictures,
    plan: Plan,
    schedule: LRScheduler | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[History], object] | None = None,
    stop: Callable[[History], bool] | None = None,
    processes: OneProcess = ONE_PROCESS,
) -> History:
    """Train `model` in place for `plan.epochs` epochs and return its history.

    Each epoch (or part of one that is evaluated) draws its order, views and dropout from
    `plan.seed` and its own number alone. So a training that was interrupted goes on from
    `checkpoint` and ends with exactly the weights of one that was not. `schedule` steps once a
    batch. After each evaluation `on_epoch` gets the history; where `stop` says so, it was the last.
    `processes` share the pictures of each batch and of each evaluation (see utils.distributed).
    """
    model.to(plan.device, memory_format=LAYOUT)
    release_freed_memory()
    history = History()
    scaler = make_scaler(plan.device, plan.precision)
    if checkpoint is not None:
        identity = describe_training(model, optimizer, train, plan, schedule)
        saved = processes.ask_first(lambda: read_checkpoint(checkpoint, identity))
        if saved is not None:
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            scaler.load_state_dict(saved["scaler"])
            if schedule is not None:
                schedule.load_state_dict(saved["schedule"])
            history = History(**saved["history"])
    network, own_plan = processes.wrap(model, plan), processes.divide(plan)
    parts = divide_epochs(train, plan)
    while len(history.seconds) < len(parts) and not (stop is not None and stop(history)):
        part = len(history.seconds)
        start = time.perf_counter()
        torch.manual_seed(processes.vary_seed(plan.seed * 1_000_003 + part))
        shown = processes.share_training(parts[part], plan, part)
        loss, accuracy = processes.average(
            *train_one_epoch(network, optimizer, shown, own_plan, scaler, schedule)
        )
        seconds = time.perf_counter() - start
        result = evaluate(model, validation, plan, processes)
        history.append(
            train_loss=loss,
            train_accuracy=accuracy,
            validation_loss=result.loss,
            validation_accuracy=result.accuracy,
            seconds=seconds,
        )
        if checkpoint is not None and processes.is_first:
            content = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
                "schedule": schedule.state_dict() if schedule is not None else None,
                "history": asdict(history),
            }
            write_checkpoint(checkpoint, identity, content)
        if on_epoch is not None:
            on_epoch(history)
    release_freed_memory()
    return history


def divide_epochs(train: Pictures, plan: Plan) -> list[Dataset]:
    """What is shown between one evaluation and the next, for all of the training.

    The parts of an epoch share its pictures at random, in whole batches: it keeps its number of
    steps. There are fewer parts than asked for where there are fewer batches.
    """
    batches = math.ceil(len(train) / plan.batch_size)
    count = min(plan.evaluations_per_epoch, batches)
    if count == 1:
        return [train] * plan.epochs
    bounds = [plan.batch_size * (batches * place // count) for place in range(count + 1)]
    parts = []
    for epoch in range(plan.epochs):
        generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + epoch)
        order = torch.randperm(len(train), generator=generator).tolist()
        parts += [Subset(train, order[low:high]) for low, high in pairwise(bounds)]
    return parts


def train_one_epoch(
    model: nn.Module,
    optimizer: Optimizer,
    train: Dataset,
    plan: Plan,
    scaler: torch.amp.GradScaler,
    schedule: LRScheduler | None = None,
) -> tuple[float, float]:
    """Show every training picture once; returns the mean loss and the accuracy on the way."""
    set_training_mode(model, plan.freeze_statistics)
    loss_sum, correct, seen = 0.0, 0, 0
    for images, labels in tqdm(make_loader(train, plan.batch_size, shuffle=True), leave=False):
        inputs, labels = draw_inputs(images, plan), labels.to(plan.device)
        optimizer.zero_grad()
        with autocast(plan.device, plan.precision):
            logits = model(inputs)
            loss = F.cross_entropy(logits, labels)
        scaler.scale(loss).backward()
        if plan.largest_gradient is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), plan.largest_gradient)
        scaler.step(optimizer)
        scaler.update()
        if schedule is not None:
            schedule.step()
        loss_sum += loss.detach() * len(labels)
        correct += (logits.argmax(dim=1) == labels).sum()
        seen += len(labels)
    return float(loss_sum) / seen, int(correct) / seen


def draw_inputs(images: torch.Tensor, plan: Plan) -> torch.Tensor:
    """Training inputs from decoded pictures: random views, or centre crops without augmentation."""
    images = images.to(plan.device, non_blocking=True)
    if plan.augmentation is None:
        inputs = crop_center(images, plan.preprocessing)
    else:
        inputs = draw_views(images, plan.preprocessing, plan.augmentation)
    return inputs.contiguous(memory_format=LAYOUT)


def evaluate(
    model: nn.Module, pictures: Pictures, plan: Plan, processes: OneProcess = ONE_PROCESS
) -> Evaluation:
    """Logits for every picture, in order: eval mode, centre crop, no randomness, no gradients."""
    # Outside of inference mode, or the moved weights could never have gradients again.
    model.to(plan.device, memory_format=LAYOUT).eval()
    batch_size = INFERENCE_BATCH[plan.device]
    logits, labels = [], []
    with torch.inference_mode(), autocast(plan.device, plan.precision):
        for images, batch_labels in make_loader(processes.share_evaluation(pictures), batch_size):
            inputs = crop_center(images.to(plan.device), plan.preprocessing)
            outputs = model(inputs.contiguous(memory_format=LAYOUT))
            logits.append(outputs.float().cpu())
            labels.append(batch_labels)
    logits, labels = (
        processes.collect(torch.cat(rows), len(pictures)) for rows in (logits, labels)
    )
    return Evaluation(logits, labels)
