"""Checks of the exercises of notebook 08: can you trust it?"""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from utils.exercises import ask, checks


@checks("8.1")
def check_8_1(find_error: Callable) -> str | None:
    generator = np.random.default_rng(1)
    for slope in (0.2, 0.9):  # too modest below, too confident above; then nearly calibrated
        confidence = generator.uniform(0.5, 1, 200)
        correct = generator.random(200) < 0.75 + slope * (confidence - 0.75)
        bins = np.array_split(np.argsort(confidence), 10)
        gaps = np.array([confidence[rows].sum() - correct[rows].sum() for rows in bins])
        given = float(ask(find_error, confidence, correct))
        if np.isclose(given, abs(gaps).sum() / 200, atol=1e-6):
            continue
        if np.isclose(given, abs(gaps.sum()) / 200, atol=1e-6):
            return "Bins above and below the line still cancel: where must the absolute value be?"
        if np.isclose(given, abs(gaps).sum(), atol=1e-4):
            return "Divide by the number of images."
        return f"The gaps weighted by images are {abs(gaps).sum() / 200:.4f}, not {given:.4f}."
    return None


@checks("8.2")
def check_8_2(measure_brier: Callable) -> str | None:
    logits = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    probabilities, labels = (2 * logits).softmax(dim=1), torch.arange(40) % 3
    squares = (probabilities - F.one_hot(labels, 3)) ** 2
    given, right = float(ask(measure_brier, probabilities, labels)), squares.sum(dim=1).mean()
    if abs(given - right) < 1e-5:
        return None
    own = squares[torch.arange(40), labels].mean()
    for other, hint in (
        (squares.mean(), "Add up over the classes, and take the mean over the images alone."),
        (squares.sum(), "Take the mean over the images, so that their number does not count."),
        (own, "The other classes count, too: their probabilities should be 0."),
        (squares.sum(dim=1).sqrt().mean(), "No root: the squared differences are added up."),
    ):
        if abs(given - other) < 1e-5:
            return hint
    return f"For 40 images and three classes it is {right:.4f}, not {given:.4f}."


@checks("8.3")
def check_8_3(count_false_alarms: Callable) -> str | None:
    generator = torch.Generator().manual_seed(0)
    ordinary = torch.randn(200, generator=generator)
    for count, caught in ((40, 0.95), (30, 0.95), (30, 0.5)):
        strange = 1.5 + torch.randn(count, generator=generator)
        reached = sorted(t for t in strange if (strange >= t).float().mean() >= caught - 1e-6)
        # A quantile may stop at the next lower score: that is no fault.
        right, next_lower = ((ordinary >= t).float().mean().item() for t in reached[:-3:-1])
        given = float(ask(count_false_alarms, ordinary, strange, caught))
        if right - 1e-6 < given < next_lower + 1e-6:
            continue
        if right - 1e-6 < given / len(ordinary) < next_lower + 1e-6:
            return "A share is wanted: divide by the number of ordinary images."
        if right - 1e-6 < 1 - given < next_lower + 1e-6:
            return "These are the ordinary images that raise no alarm."
        how = "too many" if given > right else "too few"
        return f"With {caught:.0%} of {count} strange images caught, these are {how} alarms."
    return None


@checks("8.4")
def check_8_4(spoil: Callable) -> str | None:
    images = torch.rand(4, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    before, changes = images.clone(), []
    for strength in (0, 0.5, 1):
        given = torch.as_tensor(ask(spoil, images, strength))
        if not torch.equal(images, before):
            return "Your function has changed the images it was given: work on a copy."
        if given.shape != images.shape:
            return f"The images must stay {tuple(images.shape)}, not {tuple(given.shape)}."
        if given.min() < -1e-6 or given.max() > 1 + 1e-6:
            return f"At strength {strength} values leave 0 to 1: clamp them."
        changes.append((given - images).abs().mean().item())
    if changes[0] > 1e-6:
        return "Strength 0 must change nothing."
    if not 0 < changes[1] < changes[2]:
        return "Strength 1 must change more than 0.5, and 0.5 more than 0."
    return None
