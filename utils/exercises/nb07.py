"""Checks of the exercises of notebook 07: the craft of training."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from utils.claims import find_interval
from utils.exercises import ask, checks


@checks("7.1")
def check_rates(list_rates: Callable) -> str | None:
    for peak, epochs, batches in ((0.1, 5, 10), (0.02, 3, 4), (1.0, 1, 6)):
        given = [float(rate) for rate in ask(list_rates, peak, epochs, batches)]
        steps = epochs * batches
        if len(given) != steps:
            return f"{epochs} epochs of {batches} batches are {steps} rates, not {len(given)}."
        right = [peak * 0.5 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)]
        if len(set(given)) == epochs < steps:
            return "The rate is the same in all batches of an epoch: who calls schedule.step()?"
        for step, (rate, wanted) in enumerate(zip(given, right, strict=True)):
            if not math.isclose(rate, wanted, rel_tol=1e-4, abs_tol=1e-6 * peak):
                return f"In step {step} of {steps} the rate is {wanted:.4g}, not {rate:.4g}."
    return None


@checks("7.2")
def check_stop(find_round: Callable) -> str | None:
    cases = (
        ([0.5, 0.4, 0.6, 0.55, 0.7, 0.65, 0.8], 3, 4),
        ([0.5, 0.4, 0.6, 0.55, 0.7, 0.65, 0.8], 1, 2),
        ([0.9, 0.8, 0.7, 0.6], 2, 3),
        ([0.5, 0.6, 0.4, 0.5, 0.45, 0.44], 2, 4),
        ([0.3, 0.5], 4, 1),
    )
    for losses, patience, right in cases:
        given = int(ask(find_round, list(losses), patience))
        if given != right:
            return f"With {losses} and a patience of {patience} it ends at {right}, not {given}."
    return None


@checks("7.3")
def check_gradient(find_gradient: Callable) -> str | None:
    torch.manual_seed(0)
    for count in (1, 4):
        model, images = nn.Linear(6, 2), torch.randn(4 * count, 6)
        labels = torch.arange(4 * count) % 2
        right = torch.autograd.grad(F.cross_entropy(model(images), labels), model.weight)[0]
        batches = list(zip(images.split(4), labels.split(4), strict=True))
        model.weight.grad = torch.ones_like(model.weight)  # of a step before
        given = torch.as_tensor(ask(find_gradient, model, batches))
        if given.shape != right.shape:
            return f"Return model.weight.grad, of shape {tuple(right.shape)}."
        if torch.allclose(given, right + 1, atol=1e-5):
            return "The gradient of the step before is still in it."
        if count > 1 and torch.allclose(given, right * count, atol=1e-5):
            return f"It is {count} times too large: each batch counts like a whole one."
        if not torch.allclose(given, right, atol=1e-5):
            return f"With {count} batches it is not the gradient of all images at once."
    return None


@checks("7.4")
def check_comparison(answer: tuple) -> str | None:
    steps_off, steps_on, right_off, right_on, seen = map(int, answer[:5])
    if steps_off != steps_on:
        return "The two trainings have different numbers of steps: that is no comparison."
    if not 0 <= min(right_off, right_on) <= max(right_off, right_on) <= seen or not seen:
        return "Correct answers are counted among the images that were judged."
    off, on = find_interval(right_off, seen), find_interval(right_on, seen)
    verdict = "better" if on[0] > off[1] else "worse" if off[0] > on[1] else "not shown"
    if str(answer[5]).strip().lower() == verdict:
        return None
    return (
        f"The intervals are {off[0]:.1%} to {off[1]:.1%} without and {on[0]:.1%} to {on[1]:.1%} "
        "with augmentation. Do they overlap?"
    )
