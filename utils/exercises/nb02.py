"""Checks of the exercises of notebook 02: the custom CNN."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises import ask, checks


@checks("2.1")
def check_side(compute_side: Callable) -> str | None:
    sizes = ((224, 3, 1, 0), (54, 3, 1, 0), (224, 7, 2, 3), (225, 7, 2, 3), (32, 5, 1, 2))
    for side, kernel_size, stride, padding in sizes:
        layer = nn.Conv2d(1, 1, kernel_size, stride, padding)
        right = layer(torch.zeros(1, 1, side, side)).shape[-1]
        given = ask(compute_side, side, kernel_size, stride, padding)
        if float(given) != right:
            return (
                f"A side of {side}, a kernel of {kernel_size}, stride {stride} and padding "
                f"{padding} give {right}, not {given}."
            )
    return None


@checks("2.2")
def check_parameters(answer: int) -> str | None:
    channels = (3, 32, 64, 128)
    convolutions = [nn.Conv2d(channels[i], channels[i + 1], 3) for i in range(3)]
    layers = nn.Sequential(*convolutions, nn.Linear(128, 128), nn.Linear(128, 2))
    sizes = {name: parameter.numel() for name, parameter in layers.named_parameters()}
    right = sum(sizes.values())
    if answer == sum(size for name, size in sizes.items() if "bias" not in name):
        return "Each output of a layer also has a bias."
    if answer == 11_169_218:
        return "That is the network with flattening."
    return None if answer == right else f"It is {'more' if answer < right else 'fewer'} than that."


@checks("2.3")
def check_accuracy(measure_accuracy: Callable) -> str | None:
    labels = torch.tensor([0, 1, 1, 0, 1])
    logits = F.one_hot(torch.tensor([0, 1, 1, 0, 0]), 2).float()
    batches = [(logits[:4], labels[:4]), (logits[4:], labels[4:])]
    given = float(ask(measure_accuracy, batches))
    if math.isclose(given, 0.5):
        return "That is the mean of the batch means: the last image counts like four others."
    if math.isclose(given, 4.0) or math.isclose(given, 80.0, abs_tol=1e-4):
        return "An accuracy lies between 0 and 1: divide by how many were seen."
    right = math.isclose(given, 0.8, abs_tol=1e-6)
    return None if right else f"Four of five are 0.8, not {given:.3f}."


@checks("2.4")
def check_step(train_step: Callable) -> str | None:
    torch.manual_seed(0)
    model = nn.Linear(6, 2)
    images = torch.randn(60, 6)
    labels = (images.sum(dim=1) > 0).long()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    losses = [float(ask(train_step, model, images, labels, optimizer)) for _ in range(30)]
    if model.weight.grad is None and losses[0] == losses[-1]:
        return "No gradient is ever computed: the backward pass is missing."
    before = model.weight.detach().clone()
    gradients = []
    for _ in range(2):
        frozen = torch.optim.SGD(model.parameters(), lr=0.0)
        ask(train_step, model, images, labels, frozen)
        gradients += [] if model.weight.grad is None else [model.weight.grad.clone()]
    if not torch.equal(before, model.weight):
        return "The step must be the optimizer's: with a learning rate of 0 nothing may move."
    if len(gradients) == 2 and not torch.allclose(gradients[0], gradients[1], atol=1e-6):
        return "Gradients of earlier steps are still in there: zero_grad belongs before backward."
    if losses[-1] > 0.7 * losses[0]:
        return f"The loss goes from {losses[0]:.2f} to {losses[-1]:.2f}: it should fall further."
    return None


@checks("2.5")
def check_stage(make_stage: Callable) -> str | None:
    torch.manual_seed(0)
    stage = ask(make_stage, 3, 32)
    norms = [layer for layer in stage.modules() if isinstance(layer, nn.BatchNorm2d)]
    if len(norms) != 1:
        return f"One nn.BatchNorm2d is asked for, and there are {len(norms)}."
    received = []
    norms[0].register_forward_pre_hook(lambda layer, inputs: received.append(inputs[0]))
    output = stage.train()(torch.randn(8, 3, 20, 20) + 5)
    if tuple(output.shape) not in ((8, 32, 9, 9), (8, 32, 10, 10)):
        return f"Images of 3×20×20 must become (32, 9, 9), not {tuple(output.shape[1:])}."
    if received[0].shape[1] != 32 or received[0].min() >= 0:
        return "Batch norm belongs between the convolution and ReLU: it needs both signs."
    if output.min() < 0:
        return "There is no ReLU after the batch norm: negative values come through."
    return None


@checks("2.6")
def check_three_numbers(numbers: tuple) -> str | None:
    first_test, best_validation, best_test = map(float, numbers)
    if not all(0 <= number <= 1 for number in (first_test, best_validation, best_test)):
        return "Give accuracies between 0 and 1, such as 0.753."
    if best_test > best_validation + 0.1:
        return "A test accuracy ten points above validation is rare: are the two swapped?"
    return None
