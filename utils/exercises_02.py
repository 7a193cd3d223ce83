"""Checks of the exercises of notebook 02: the custom CNN."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises import ask


def check_2_1(compute_side: Callable) -> str | None:
    for side, kernel_size, right in ((224, 3, 111), (111, 3, 54), (54, 3, 26), (32, 5, 14)):
        given = ask(compute_side, side, kernel_size)
        if given != right:
            return f"A side of {side} with a kernel of {kernel_size} gives {right}, not {given}."
    return None


def check_2_2(drop: Callable) -> str | None:
    torch.manual_seed(0)
    hidden = torch.ones(4, 1000)
    if not torch.equal(ask(drop, hidden, False), hidden):
        return "When the network is not training, every value must come through as it is."
    dropped = ask(drop, hidden, True)
    if not 0.15 < (dropped == 0).float().mean() < 0.25:
        return "When the network is training, a fifth of the values must become zero."
    kept = dropped.mean().item()
    return None if abs(kept - 1) < 0.05 else "The values that are kept must grow to 1/0.8."


def check_2_3(answer: int) -> str | None:
    channels = (3, 32, 64, 128)
    convolutions = [nn.Conv2d(channels[i], channels[i + 1], 3) for i in range(3)]
    layers = nn.ModuleList([*convolutions, nn.Linear(128, 128), nn.Linear(128, 2)])
    right = sum(parameter.numel() for parameter in layers.parameters())
    if answer == right - sum(len(layer.bias) for layer in layers):
        return "Each output of a layer also has a bias."
    if answer == 11_169_218:
        return "That is the network with flattening."
    return None if answer == right else f"It is {'more' if answer < right else 'fewer'} than that."


def check_2_4(compute_accuracy: Callable) -> str | None:
    labels = torch.tensor([0, 1, 1, 0, 1])
    logits = F.one_hot(torch.tensor([0, 1, 1, 0, 0]), 2).float()
    batches = [(logits[:4], labels[:4]), (logits[4:], labels[4:])]
    given = float(ask(compute_accuracy, batches))
    if math.isclose(given, 0.5):
        return "That is the mean of the batch means: the last picture counts like four others."
    right = math.isclose(given, 0.8, abs_tol=1e-6)
    return None if right else f"Four of five are 0.8, not {given:.3f}."
