"""Exercises of notebook 07: wrong answers with their hint, unusual right ones."""

import math

import pytest
import torch
from solutions import NOT_TRIED, judge
from torch.nn import functional as F
from torch.optim import lr_scheduler


def test_half_a_comparison_is_none() -> None:
    assert NOT_TRIED in judge("7.4", (40, 40, 20, 25, 30, ...))


def rates_by_hand(peak, epochs, batches):
    steps = epochs * batches
    return torch.tensor([peak * (1 + math.cos(math.pi * n / steps)) / 2 for n in range(steps)])


def stop_by_counting(losses, patience):
    lowest, waited, turn = math.inf, 0, -1
    while turn + 1 < len(losses) and waited < patience:
        turn += 1
        waited = 0 if losses[turn] < lowest else waited + 1
        lowest = min(lowest, losses[turn])
    return torch.tensor(turn)


def gradient_of_sums(model, batches):
    model.zero_grad()
    count = sum(len(labels) for _, labels in batches)
    for images, labels in batches:
        (F.cross_entropy(model(images), labels, reduction="sum") / count).backward()
    return model.weight.grad.numpy()


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("7.1", rates_by_hand),
        ("7.2", stop_by_counting),
        ("7.3", gradient_of_sums),
        ("7.4", ("60", 60, 70, 95, 100, " Better ")),
        ("7.4", (60, 60, 95, 70, 100, "worse")),
    ],
)
def test_unusual_right_answers(number: str, answer) -> None:
    assert judge(number, answer).endswith("✔ right.")


def step_once_an_epoch(peak, epochs, batches):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak)
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    rates = []
    for _ in range(epochs):
        rates += [schedule.get_last_lr()[0]] * batches
        optimizer.step()
        schedule.step()
    return rates


def compare_with_the_round_before(losses, patience):
    waited = 0
    for turn in range(1, len(losses)):
        waited = waited + 1 if losses[turn] > losses[turn - 1] else 0
        if waited >= patience:
            break
    return turn


def add_up(model, batches):
    model.zero_grad()
    for images, labels in batches:
        F.cross_entropy(model(images), labels).backward()
    return model.weight.grad


def forget_zero(model, batches):
    for images, labels in batches:
        (F.cross_entropy(model(images), labels) / len(batches)).backward()
    return model.weight.grad


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("7.1", step_once_an_epoch, "all batches of an epoch"),
        ("7.1", lambda peak, epochs, batches: [peak] * epochs, "rates, not"),
        ("7.1", lambda peak, epochs, batches: [peak] * (epochs * batches), "In step 1"),
        ("7.2", compare_with_the_round_before, "it ends at"),
        ("7.2", lambda losses, patience: losses.index(min(losses)), "it ends at"),
        ("7.2", lambda losses, patience: len(losses) - 1, "it ends at"),
        ("7.3", add_up, "4 times too large"),
        ("7.3", forget_zero, "the step before"),
        ("7.3", lambda model, batches: gradient_of_sums(model, batches).sum(), "of shape"),
        ("7.3", lambda model, batches: gradient_of_sums(model, batches[:1]), "all images"),
        ("7.4", (30, 60, 70, 95, 100, "better"), "no comparison"),
        ("7.4", (60, 60, 70, 195, 100, "better"), "counted among"),
        ("7.4", (60, 60, 18, 20, 20, "better"), "overlap"),
        ("7.4", (60, 60, 70, 95, 100, "not shown"), "overlap"),
    ],
)
def test_wrong_answers_get_their_hint(number: str, answer, hint: str) -> None:
    said = judge(number, answer)
    assert "✘" in said and hint in said
