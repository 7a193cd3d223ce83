"""Checks of the exercises of notebook 04: unfreezing."""

from collections.abc import Callable

import torch
from torch import nn

from utils.exercises import ask
from utils.exercises_03 import make_small_network
from utils.models import freeze


def check_4_1(make_groups: Callable) -> str | None:
    model = nn.ModuleDict()
    model.stem, model.body, model.head = nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(4, 2)
    optimizer = torch.optim.SGD(ask(make_groups, model), lr=1.0)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, rate in (("stem", 1e-5), ("body", 1e-4), ("head", 1e-3)):
        for parameter in getattr(model, name).parameters():
            if rates.get(id(parameter)) != rate:
                return f"A parameter of the {name} has the rate {rates.get(id(parameter))}."
    return None


def check_4_2(compute_factor: Callable) -> str | None:
    steps, warm_up = 101, 10
    for step, right in ((0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (100, 0.0)):
        given = ask(compute_factor, step, steps, warm_up)
        if abs(given - right) > 0.02:
            return f"At step {step} of {steps} it is {right}, not {given:.3f}."
    return None


def check_4_3(find_forgotten: Callable) -> str | None:
    model = make_small_network()
    freeze(model)
    model.fc.requires_grad_(True)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    if list(ask(find_forgotten, model, optimizer)):
        return "Here every trainable parameter was given to the optimiser."
    model.conv.requires_grad_(True)
    given = sorted(ask(find_forgotten, model, optimizer))
    right = ["conv.bias", "conv.weight"]
    return None if given == right else f"The names are {right}, not {given}."
