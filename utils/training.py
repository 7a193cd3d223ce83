"""The loop of notebook 02, and `fit`: the same loop with history and exact resume."""

import contextlib
import hashlib
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from utils.data import fingerprint
from utils.files import is_whole, put_aside, write_atomically

History = dict[str, list[float]]
QUANTITIES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds")
LONGEST_VALUE = 60  # characters of a setting that are shown where two checkpoints differ
criterion = nn.CrossEntropyLoss()


def train_one_epoch(
    model: nn.Module, loader: DataLoader, optimizer: Optimizer
) -> tuple[float, float]:
    """Show every training image once; mean loss and accuracy on the way."""
    model.train()
    device = next(model.parameters()).device
    loss_sum, correct, seen = 0.0, 0, 0
    for images, labels in tqdm(loader, leave=False):
        images, labels = images.to(device), labels.to(device)
        logits = model(images)
        loss = criterion(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(labels)
        correct += (logits.argmax(dim=1) == labels).sum().item()
        seen += len(labels)
    return loss_sum / seen, correct / seen


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader) -> tuple[float, float]:
    """Mean loss and accuracy over all images of a loader: nothing is learned, dropout is off."""
    model.eval()
    device = next(model.parameters()).device
    loss_sum, correct, seen = 0.0, 0, 0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        logits = model(images)
        loss_sum += criterion(logits, labels).item() * len(labels)
        correct += (logits.argmax(dim=1) == labels).sum().item()
        seen += len(labels)
    return loss_sum / seen, correct / seen


@torch.no_grad()
def collect_logits(model: nn.Module, loader: DataLoader) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits float32 [N, classes] and labels int64 [N] of all images of a loader, on the CPU."""
    model.eval()
    device = next(model.parameters()).device
    logits, labels = [], []
    for images, batch_labels in loader:
        logits.append(model(images.to(device)).cpu())
        labels.append(batch_labels)
    return torch.cat(logits), torch.cat(labels)


def fit(
    model: nn.Module,
    train_loader: DataLoader,
    validation_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    schedule: LRScheduler | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[History], object] | None = None,
) -> History:
    """Train `model` in place for `epochs` epochs; one number an epoch in each list of the history.

    Every epoch draws its order, views and dropout from the seed that `torch.manual_seed` was last
    given, and from its own number. So a training that was interrupted goes on from `checkpoint` and
    ends with exactly the weights of one that was not; one that has more epochs is left as it is.
    `schedule` steps after each batch; `on_epoch` gets the history after each epoch.
    """
    seed = torch.initial_seed()
    history: History = {name: [] for name in QUANTITIES}
    identity = describe_training(model, train_loader, optimizer, seed)
    identity |= {"schedule": f"{type(schedule).__name__}, {epochs} epochs" if schedule else "none"}
    saved = read_checkpoint(checkpoint, identity) if checkpoint else None
    if saved:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        if schedule is not None:
            schedule.load_state_dict(saved["schedule"])
        history = saved["history"]
    stepping = schedule and optimizer.register_step_post_hook(lambda *_: schedule.step())
    one_gpu = [0] * torch.cuda.is_available()  # of several, fork_rng warns at length
    with stepping or contextlib.nullcontext(), torch.random.fork_rng(one_gpu):
        for epoch in range(len(history["seconds"]), epochs):
            start = time.perf_counter()
            torch.manual_seed((1000 * seed + epoch) % 2**63)
            train_loss, train_accuracy = train_one_epoch(model, train_loader, optimizer)
            seconds = time.perf_counter() - start
            numbers = train_loss, train_accuracy, *evaluate(model, validation_loader), seconds
            for name, number in zip(QUANTITIES, numbers, strict=True):
                history[name].append(number)
            if checkpoint:
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                more = {"schedule": schedule.state_dict() if schedule else None, "history": history}
                write_checkpoint(checkpoint, identity, state | more)
            if on_epoch:
                on_epoch(history)
    return history


def describe_training(
    model: nn.Module, loader: DataLoader, optimizer: Optimizer, seed: int
) -> dict[str, str]:
    """What decides the final weights, by name. More epochs may follow."""
    layers = f"{model} {[(tuple(p.shape), p.requires_grad) for p in model.parameters()]}"
    groups = [
        {name: value for name, value in group.items() if name not in ("params", "lr")}
        | {"learning_rate": group.get("initial_lr", group["lr"]), "tensors": len(group["params"])}
        for group in optimizer.param_groups
    ]
    dataset = loader.dataset
    transform = getattr(getattr(dataset, "dataset", dataset), "transform", None)
    return {
        "network": f"{type(model).__name__} {hashlib.sha256(layers.encode()).hexdigest()[:8]}",
        "images": fingerprint(dataset),
        "transform": " ".join(str(transform).split()),
        "batch size": str(loader.batch_size),
        "optimizer": f"{type(optimizer).__name__} {groups}",
        "seed": str(seed),
    }


def write_checkpoint(path: Path, identity: dict[str, str], content: dict) -> None:
    """Save `content` (tensors, numbers, lists, dicts of them) with what made it.

    The checkpoint before it stays beside it as `<name>.previous`, for the case that this one is
    damaged. Raises CourseError where the disk is full or may not be written to.
    """
    if path.is_file():
        put_aside(path, "previous")
    write_atomically(path, lambda file: torch.save({"identity": identity, **content}, file))


def read_checkpoint(path: Path, identity: dict[str, str]) -> dict | None:
    """The newest state that can be read and was made by the same training, or None.

    A file that cannot be read, or was made by another network, dataset or setting, is put aside
    under another name, and lines say so. States of a GPU are read on a CPU, too.
    """
    found, passed_over = None, []
    for candidate in (path, path.with_name(f"{path.name}.previous")):
        if not candidate.is_file():
            continue
        try:
            saved = load_tensors(candidate)
            difference = describe_difference(saved["identity"], identity)
        except Exception as error:  # torch.load raises many kinds for damaged files
            aside = put_aside(candidate, "damaged")
            passed_over.append(f"{candidate.name} is damaged ({type(error).__name__}): kept as")
        else:
            if not difference:
                found = saved
                break
            others = hashlib.sha256(repr(saved["identity"]).encode()).hexdigest()
            aside = put_aside(candidate, f"other-{others[:6]}")  # each training's is kept
            passed_over.append(f"{candidate.name} is of another training ({difference}): kept as")
        passed_over[-1] += f" {aside.name}."
    if passed_over:
        print("\n".join(f"The checkpoint {sentence}" for sentence in passed_over))
        before = "the checkpoint before it" if found else "the beginning"
        print(f"Training goes on from {before}.")
    return found


def load_tensors(path: Path) -> dict:
    """What torch.save wrote, on the CPU. Raises an exception of some kind for a damaged file.

    Nothing but tensors, numbers, texts and their collections is read: a pickle may carry code.
    """
    # torch.load passes over the checksums that torch.save has written: a changed weight would pass.
    if not is_whole(path):
        raise ValueError("wrong checksum")
    return torch.load(path, map_location="cpu", weights_only=True)


def describe_difference(theirs: dict[str, str], ours: dict[str, str]) -> str:
    """Each entry that differs, with both values, shortened; "" if none does."""
    shorten = partial(textwrap.shorten, width=LONGEST_VALUE, placeholder=" …")
    return "; ".join(
        f"{name}: {shorten(str(theirs.get(name)))} there, {shorten(str(ours.get(name)))} here"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    )
