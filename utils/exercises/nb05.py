"""Checks of the exercises of notebook 05: inspecting and predicting."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from utils.exercises import ask, checks


def make_map_network() -> nn.Sequential:
    """A small network with two layers of maps: [N, 3, 16, 16] → [N, 4, 8, 8] → [N, 5, 4, 4]."""
    maps = [nn.Conv2d(3, 4, 3, 2, 1), nn.Tanh(), nn.Conv2d(4, 5, 3, 2, 1), nn.Tanh()]
    return nn.Sequential(*maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))


@checks("5.1")
def check_5_1(compute_maps: Callable) -> str | None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model, image = make_map_network().eval(), torch.randn(1, 3, 16, 16)
    layers = [model[0], model[2]]
    for target in (0, 2):
        early = model[0](image)
        late = model[1:3](early)
        logit = model[3:](late)[0, target]
        slopes = torch.autograd.grad(logit, [early, late])
        given = list(ask(compute_maps, model, layers, image, target))
        if len(given) != 2:
            return f"Two layers give two maps, not {len(given)}."
        for name, output, slope, one in zip(
            ("first", "last"), (early, late), slopes, given, strict=True
        ):
            one = torch.as_tensor(one).detach().squeeze().float()
            weights = slope.mean(dim=(2, 3), keepdim=True)
            right = (weights * output).sum(dim=1)[0].detach()
            if one.shape != right.shape:
                return (
                    f"The map of the {name} layer must be {tuple(right.shape)}, "
                    f"not {tuple(one.shape)}."
                )
            if torch.allclose(one, right, atol=1e-6):
                continue
            if torch.allclose(one, right.clamp(min=0), atol=1e-6):
                continue  # the paper's form: what speaks against is set to zero
            if torch.allclose(one, (slope * output).sum(dim=1)[0], atol=1e-6):
                return "Each map has one weight: the mean of its gradient over the positions."
            if torch.allclose(one, output.sum(dim=1)[0], atol=1e-6):
                return "Weight the maps by their gradients before you add them up."
            return f"The map of the {name} layer is another one: whose gradient did you take?"
    left = sum(len(layer._forward_hooks) + len(layer._backward_hooks) for layer in layers)
    return "The maps are right; your hooks are still there: remove() each." if left else None


@checks("5.2")
def check_5_2(predict_batch: Callable) -> str | None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3)
        model, images = nn.Sequential(*layers).train(), torch.randn(6, 3, 2, 2)
    reference = copy.deepcopy(model).eval()
    with torch.no_grad():
        logits = reference(images)
    given = torch.as_tensor(ask(predict_batch, model, images))
    if given.requires_grad:
        return "Nothing is learned here: predict without gradients."
    if given.shape != logits.shape:
        return f"Six images and three classes give (6, 3), not {tuple(given.shape)}."
    if torch.allclose(given, logits.softmax(dim=1), atol=1e-5):
        alone = torch.as_tensor(ask(predict_batch, model, images[:1]))
        same = torch.allclose(alone, given[:1], atol=1e-5)
        return None if same else "An image alone gets other probabilities than in its batch."
    if torch.allclose(given, logits.softmax(dim=0), atol=1e-5):
        sums = ", ".join(f"{total:.2f}" for total in given.sum(dim=1).tolist())
        return f"For six other images and three classes the sums are {sums}: each should be 1."
    if torch.allclose(given, logits, atol=1e-5):
        return "These are logits: make probabilities of them."
    return "These are other probabilities: is the model still in eval mode?"


@checks("5.3")
def check_5_3(find_threshold: Callable) -> str | None:
    generator = torch.Generator().manual_seed(0)
    for count, wanted in ((1000, 0.99), (400, 0.95)):
        scores = torch.rand(count, generator=generator)
        is_dog = torch.rand(count, generator=generator) < scores**0.05
        is_dog[scores.argsort(descending=True)[:3]] = torch.tensor([True, False, True])
        lowest = min(
            score.item() for score in scores if is_dog[scores >= score].float().mean() >= wanted
        )
        given = float(ask(find_threshold, scores, is_dog, wanted))
        opened = scores >= given
        if not opened.any():
            return f"At {given:.4f} the door never opens."
        precision = is_dog[opened].float().mean().item()
        if precision < wanted - 1e-6:
            return f"At {given:.4f} only {precision:.1%} of those it opens for are dogs."
        most = int((scores >= lowest).sum())
        if int(opened.sum()) < most:
            return (
                f"At {given:.4f} it opens {int(opened.sum())} times; a lower threshold has the "
                f"precision, too, and opens {most} times: precision does not fall steadily."
            )
    return None


@checks("5.4")
def check_5_4(find_hardest: Callable) -> str | None:
    probabilities = torch.tensor(
        [
            [0.9, 0.05, 0.05],
            [0.2, 0.7, 0.1],
            [0.01, 0.01, 0.98],
            [0.5, 0.1, 0.4],
            [0.3, 0.45, 0.25],
            [0.03, 0.94, 0.03],
        ]
    )
    labels = torch.tensor([0, 0, 1, 2, 1, 1])  # correct: 0.9, 0.2, 0.01, 0.4, 0.45, 0.94
    given = ask(find_hardest, probabilities, labels, 4)
    rows = [int(row) for row in given]
    if rows == [2, 1, 3, 4]:
        shorter = [int(row) for row in ask(find_hardest, probabilities, labels, 2)]
        return None if shorter == [2, 1] else "`count` says how many: two of them are wanted now."
    hints = {
        (4, 3, 1, 0): "These have the lowest confidence. Hard is a low probability of the correct "
        "class: a confident mistake is harder than a doubt.",
        (5, 0, 4, 3): "These are the easiest: the lowest probability comes first.",
        (2, 1, 3): "The hardest need not be mistakes: there may be fewer mistakes than `count`.",
        (4, 3, 1, 2): "It is the right four, in another order: the hardest comes first.",
    }
    if hint := hints.get(tuple(rows)):
        return hint
    if len(rows) == 6:
        return "`count` says how many rows are wanted."
    return f"The four hardest of these six are rows 2, 1, 3 and 4, not {rows}."


@checks("5.5")
def check_5_5(swap_labels: Callable) -> str | None:
    labels = np.array([0, 1, 2, 1, 0])
    before = labels.copy()
    given = np.asarray(ask(swap_labels, labels, 2, 3))
    if not np.array_equal(labels, before):
        return "Your labels have changed, too: change a copy."
    if given.shape != labels.shape:
        return f"All {len(labels)} labels are wanted, not {given.shape}."
    if np.array_equal(given, [0, 1, 1, 2, 0]):
        return None
    if np.array_equal(given, [0, 1, 1, 1, 0]) or np.array_equal(given, [0, 1, 2, 2, 0]):
        return "One label is lost: the second line reads what the first has overwritten."
    return f"Labels 2 and 3 of {before.tolist()} swapped are [0, 1, 1, 2, 0], not {given.tolist()}."
