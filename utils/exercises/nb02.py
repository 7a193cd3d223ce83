"""Checks of the exercises of notebook 02: the custom CNN."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises import ask, checks


@checks("2.1")
def check_2_1(compute_side: Callable) -> str | None:
    sizes = ((224, 3, 1, 0), (54, 3, 1, 0), (224, 7, 2, 3), (225, 7, 2, 3), (32, 5, 1, 2))
    for side, kernel_size, stride, padding in sizes:
        layer = nn.Conv2d(1, 1, kernel_size, stride, padding)
        right = layer(torch.zeros(1, 1, side, side)).shape[-1]
        given = ask(compute_side, side, kernel_size, stride, padding)
        if given != right or isinstance(given, float):
            return (
                f"A side of {side}, a kernel of {kernel_size}, stride {stride} and padding "
                f"{padding} give {right}, not {given}."
            )
    return None


@checks("2.2")
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


@checks("2.3")
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


@checks("2.4")
def check_2_4(make_stage: Callable) -> str | None:
    torch.manual_seed(0)
    stage = ask(make_stage, 3, 32)
    norms = [layer for layer in stage.modules() if isinstance(layer, nn.BatchNorm2d)]
    if len(norms) != 1:
        return f"One nn.BatchNorm2d is asked for, and there are {len(norms)}."
    received = []
    norms[0].register_forward_pre_hook(lambda layer, inputs: received.append(inputs[0]))
    output = stage.train()(torch.randn(8, 3, 20, 20) + 5)
    if tuple(output.shape) != (8, 32, 9, 9):
        return f"Pictures of 3×20×20 must become (32, 9, 9), not {tuple(output.shape[1:])}."
    if tuple(received[0].shape[1:]) != (32, 18, 18) or received[0].min() >= 0:
        return "Batch norm belongs between the convolution and ReLU: it needs both signs."
    if output.min() < 0:
        return "There is no ReLU after the batch norm: negative values come through."
    return None


@checks("2.5")
def check_2_5(compute_accuracy: Callable) -> str | None:
    labels = torch.tensor([0, 1, 1, 0, 1])
    logits = F.one_hot(torch.tensor([0, 1, 1, 0, 0]), 2).float()
    batches = [(logits[:4], labels[:4]), (logits[4:], labels[4:])]
    given = float(ask(compute_accuracy, batches))
    if math.isclose(given, 0.5):
        return "That is the mean of the batch means: the last picture counts like four others."
    right = math.isclose(given, 0.8, abs_tol=1e-6)
    return None if right else f"Four of five are 0.8, not {given:.3f}."


@checks("2.6")
def check_2_6(predict_minutes: Callable) -> str | None:
    for seconds, pictures, epochs in ((3.0, 360, 8), (12.0, 1800, 10), (30.0, 23_000, 1)):
        given = float(ask(predict_minutes, seconds, pictures, epochs))
        right = seconds / pictures * 23_000 * epochs / 60
        if math.isclose(given, right, rel_tol=1e-3):
            continue
        if math.isclose(given, 60 * right):
            return "Those are seconds: minutes are asked for."
        if math.isclose(given * epochs, right):
            return "That is one epoch: the training has several."
        measured = f"{seconds:.0f} s for an epoch of {pictures:,} pictures"
        return f"{measured} and {epochs} epoch(s) mean {right:.1f} minutes, not {given:.1f}."
    return None
