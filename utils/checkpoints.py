"""Training states on disk: written whole, read by what they were made for, kept when damaged."""

import hashlib
import os
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from utils.files import put_aside, write_atomically
from utils.models import count_parameters
from utils.pictures import Pictures

if TYPE_CHECKING:
    from utils.training import Plan

LONGEST_VALUE = 60  # characters of a setting that are shown where two checkpoints differ


def write_checkpoint(path: Path, identity: dict[str, str], content: dict) -> None:
    """Save `content` (tensors, numbers, lists, dicts of them) with what made it.

    The checkpoint before it stays beside it as `<name>.previous`, for the case that this one is
    damaged. Raises CourseError where the disk is full or may not be written to.
    """
    if path.is_file():
        path.replace(find_previous(path))
    write_atomically(path, lambda file: torch.save({"identity": identity, **content}, file))


def read_checkpoint(path: Path, identity: dict[str, str]) -> dict | None:
    """The newest state that can be read and was made by the same thing; None where there is none.

    A file that cannot be read, or was made by another network, dataset or setting, is put aside
    under another name, and lines say so. States of a GPU are read on a CPU, too.
    """
    found, passed_over = None, []
    for candidate in (path, find_previous(path)):
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
            aside = put_aside(candidate, "other")
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
        raise zipfile.BadZipFile("wrong checksum")
    return torch.load(path, map_location="cpu", weights_only=True)


def is_whole(path: Path) -> bool:
    """Whether a file of torch.save or np.savez, both of which write zips, is as it was written."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # of many kinds: zipfile parses what may be anything
        return False


def describe_difference(theirs: dict[str, str], ours: dict[str, str]) -> str:
    """Each entry that differs, with both values; "" if none does."""
    return "; ".join(
        f"{name}: {shorten(theirs.get(name), ours.get(name))} there, "
        f"{shorten(ours.get(name), theirs.get(name))} here"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    )


def shorten(value: str | None, other: str | None) -> str:
    """A value for a message; the part of a long one where it begins to differ from the other."""
    value, other = str(value), str(other)
    if max(len(value), len(other)) <= LONGEST_VALUE:
        return value
    start = max(0, len(os.path.commonprefix([value, other])) - LONGEST_VALUE // 2)
    part = value[start : start + LONGEST_VALUE]
    return f"{'…' if start else ''}{part}{'…' if start + LONGEST_VALUE < len(value) else ''}"


def find_previous(path: Path) -> Path:
    return path.with_name(f"{path.name}.previous")


def describe_training(
    model: nn.Module,
    optimizer: Optimizer,
    train: Pictures,
    plan: "Plan",
    schedule: LRScheduler | None,
) -> dict[str, str]:
    """What decides the final weights, by name. More epochs may follow, but not under a schedule."""
    layers = f"{model} {[tuple(parameter.shape) for parameter in model.parameters()]}"
    digest = hashlib.sha256(layers.encode()).hexdigest()[:8]
    settings = [
        {name: value for name, value in group.items() if name not in ("params", "lr")}
        | {"learning_rate": group.get("initial_lr", group["lr"]), "tensors": len(group["params"])}
        for group in optimizer.param_groups
    ]
    return {
        "network": f"{type(model).__name__}, {count_parameters(model)[1]:,} parameters ({digest})",
        "classes": ", ".join(train.split.classes),
        "pictures": train.key,
        "optimizer": f"{type(optimizer).__name__} {settings}",
        "schedule": f"{type(schedule).__name__} over {plan.epochs} epochs" if schedule else "none",
    } | {name: str(value) for name, value in asdict(plan).items() if name != "epochs"}
