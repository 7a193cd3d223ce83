"""Checks of the exercises of notebook 04: unfreezing."""

from collections.abc import Callable

import torch
from torch import nn

from utils.exercises import ask, checks
from utils.exercises.nb03 import make_small_network
from utils.models import freeze


@checks("4.1")
def check_4_1(make_groups: Callable) -> str | None:
    model = nn.ModuleDict()
    model.stem, model.body, model.head = nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(4, 2)
    optimizer = torch.optim.SGD(ask(make_groups, model), lr=1.0)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, rate in (("stem", 1e-5), ("body", 1e-4), ("head", 1e-3)):
        for parameter in getattr(model, name).parameters():
            given = rates.get(id(parameter))
            if given is None:
                return f"A parameter of the {name} is in no group: the optimiser never moves it."
            if given != rate:
                return f"A parameter of the {name} has the rate {given:g}, not {rate:g}."
    return None


@checks("4.2")
def check_4_2(compute_factor: Callable) -> str | None:
    steps, warm_up = 101, 10
    for step, right in ((0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (100, 0.0)):
        given = ask(compute_factor, step, steps, warm_up)
        if abs(given - right) > 0.02:
            return f"At step {step} of {steps} it is {right}, not {given:.3f}."
    return None


@checks("4.3")
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


@checks("4.4")
def check_4_4(split_decay: Callable) -> str | None:
    model = make_small_network()
    optimizer = torch.optim.AdamW(ask(split_decay, model), lr=0.1, weight_decay=0.5)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups
              for p in group["params"]}  # fmt: skip
    for name, parameter in model.named_parameters():
        given = decays.get(id(parameter))
        if given is None:
            return f"{name} is in no group, so nothing trains it."
        right = 0.01 if name in ("conv.weight", "fc.weight") else 0.0
        if given != right:
            shape = tuple(parameter.shape)
            return f"{name}, of shape {shape}, has weight decay {given}, not {right}."
    return None


@checks("4.5")
def check_4_5(choices: dict) -> str | None:
    if any(choice is ... or ... in choice for choice in choices.values()):
        return ask(lambda: None)
    # At 2,000 both ways are sound, since the reason is that validation decides.
    right = {
        200: {("head", "by heart")},
        2_000: {("gentle", "validation decides"), ("head", "validation decides")},
        20_000: {("gentle", "enough of both")},
    }
    for count, accepted in right.items():
        regime, reason = choices[count]
        if regime == "large steps":
            return "Large steps spoil what a million pictures taught, however many you have."
        if (regime, reason) not in accepted:
            if regime in {one for one, _ in accepted}:
                return f"For {count:,} pictures the regime is sound; look for another reason."
            return (
                f"For {count:,} pictures: how many of them are for validation, and what "
                "difference could those show?"
            )
    return None
