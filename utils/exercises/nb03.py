"""Checks of the exercises of notebook 03: the frozen backbone."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn import functional as F

from utils.exercises import ask, checks


def make_small_network(number_of_classes: int = 2) -> nn.Module:
    """A network of any images with what pretrained ones have: batch norm, dropout and `fc`."""
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("body", nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.BatchNorm2d(8)))
    model.add_module("pool", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("dropout", nn.Dropout(0.3))
    model.add_module("fc", nn.Linear(8, number_of_classes))
    return model


def make_clusters(classes: int, dimensions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [30 · classes, dimensions] around a centre for each class, and their labels.

    In many dimensions a random head is near chance: all but `classes` of them are noise.
    """
    torch.manual_seed(0)
    labels = torch.arange(classes).repeat(30)
    return F.one_hot(labels, dimensions) * 4.0 + torch.randn(len(labels), dimensions), labels


@checks("3.1")
def check_3_1(prepare: Callable) -> str | None:
    given = make_small_network()
    returned = ask(prepare, given, 3)
    model = returned if isinstance(returned, nn.Module) else given
    if tuple(model.get_parameter("fc.weight").shape) != (3, 8):
        return "The new head must have one output per class."
    if not all(parameter.requires_grad for parameter in model.get_submodule("fc").parameters()):
        return "The new head cannot learn either."
    body = [p for name, p in model.named_parameters() if not name.startswith("fc.")]
    return "The backbone is not frozen." if any(p.requires_grad for p in body) else None


@checks("3.2")
def check_3_2(train_new_head: Callable) -> str | None:
    features, labels = make_clusters(2, 64)
    given = make_small_network()
    given.fc = old_head = nn.Linear(64, 10)
    returned = ask(train_new_head, given, features, labels)
    model = returned if isinstance(returned, nn.Module) else given
    head = model.get_submodule("fc")
    if head is old_head:
        return "The network still has its old head of 10 outputs."
    with torch.no_grad():
        accuracy = (head(features).argmax(dim=1) == labels).float().mean().item()
    if accuracy < 0.9:
        return f"The new head gets {accuracy:.0%} of its own training features right."
    return None


@checks("3.3")
def check_3_3(classify: Callable) -> str | None:
    features, labels = make_clusters(3, 3)
    classes = ask(classify, features, labels, torch.eye(3) * 4, 5)
    if not isinstance(classes, torch.Tensor) or classes.shape != (3,):
        return "The answer must be one class number for each new row, int64 [M]."
    if not torch.equal(classes.long(), torch.arange(3)):
        return "Three points in the middle of three classes must get these classes."
    line = torch.tensor([[0.25], [0.5], [0.6], [5.0], [6.0]])
    vote = ask(classify, line, torch.tensor([1, 0, 0, 1, 1]), torch.tensor([[0.3]]), 3)
    return None if vote.item() == 0 else "Of the three nearest, two are of class 0: count votes."


@checks("3.4")
def check_3_4(has_drifted: Callable) -> str | None:
    before, same, moved, trained, counted = (make_small_network() for _ in range(5))
    with torch.no_grad():  # one number of 16 is enough
        moved.get_buffer("body.1.running_var")[3] *= 1.001
        trained.get_parameter("fc.weight").add_(1)
        trained.get_parameter("body.1.weight").add_(1)
        counted.get_buffer("body.1.num_batches_tracked").add_(1)
    if ask(has_drifted, before, same):
        return "Two equal copies have not drifted."
    if not ask(has_drifted, before, moved):
        return "One value of one running variance moved, and your function does not see it."
    if ask(has_drifted, before, trained):
        return "Trained weights are no drift: compare the running means and variances only."
    if ask(has_drifted, before, counted):
        return "The counter num_batches_tracked is no statistic: leave it out."
    return None


@checks("3.5")
def check_3_5(classify: Callable) -> str | None:
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for mode in ("RGB", "RGBA", "L"):  # a photograph, a paint program, a scan
            image = Image.new(mode, (300, 200), 255 if mode == "L" else (255,) * len(mode))
            ImageDraw.Draw(image).ellipse((80, 40, 220, 160), fill=90 if mode == "L" else "gray")
            file = Path(folder) / f"{mode}.png"
            image.save(file)
            hint = judge_answer(ask(classify, str(file)), ask(classify, str(file)))
            if hint:
                return hint
    return None


def judge_answer(first, second) -> str | None:
    """A hint on two answers of `classify` for the same file, or None where they are right."""
    try:
        (name, probability), (_, again) = first, second
        probability, again = float(probability), float(again)
    except (TypeError, ValueError):
        return "The answer must be two things: the name of a class and its probability."
    if not isinstance(name, str):
        return f"The first thing must be the name of a class, and it is {name!r}."
    if not 0 <= probability <= 1:
        return f"A probability lies between 0 and 1, and this is {probability:.2f}: use softmax."
    if abs(probability - again) > 1e-4:
        return (
            "The same file gives another probability the second time: something in it is random, "
            "such as the transform for training."
        )
    return None
