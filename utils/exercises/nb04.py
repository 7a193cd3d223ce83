"""Checks of the exercises of notebook 04: unfreezing."""

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from utils.claims import find_p_value
from utils.exercises import ask, checks
from utils.exercises.nb03 import make_small_network
from utils.models import freeze

PAIRS = ((5, 0), (6, 0), (20, 10), (25, 6), (2, 20), (0, 0), (9, 1))  # gained, lost


def make_frozen_network() -> nn.Module:
    """The small network of notebook 03's exercises, frozen but for its `fc`."""
    model = make_small_network()
    freeze(model)
    model.fc.requires_grad_(True)
    return model


def find_still(before: nn.Module, after: nn.Module) -> list[str]:
    """The names of the parameters that are the same in both."""
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    return [name for (name, old), new in pairs if torch.equal(old, new)]


@checks("4.1")
def check_4_1(prepare: Callable) -> str | None:
    model = make_frozen_network()
    before = copy.deepcopy(model)
    optimizer = ask(prepare, model)
    if not isinstance(optimizer, torch.optim.Optimizer):
        return f"An optimizer is asked for, and this is a {type(optimizer).__name__}."
    if find_still(before, model) != [name for name, _ in model.named_parameters()]:
        return "The weights have changed before the first step."
    images = torch.rand(8, 3, 16, 16)
    F.cross_entropy(model(images), torch.arange(8) % 2).backward()
    optimizer.step()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    if missing:
        return f"{missing[0]} gets no gradient: it is still frozen."
    # A convolution's bias before nothing but a mean may get a gradient of zero; a weight does not.
    still = [name for name in find_still(before, model) if name.endswith("weight")]
    if still:
        return f"{still[0]} gets a gradient and does not move: the optimizer was not given it."
    return None


@checks("4.2")
def check_4_2(unfreeze: Callable) -> str | None:
    model = make_frozen_network().eval()
    before = copy.deepcopy(model)
    unfreeze(model)  # what it returns does not count: most ways return nothing
    names = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    if names and "requires_grad" in vars(model):
        return (
            "The network now has an attribute of that name, and its parameters have not heard of "
            f"it: {names[0]} is still frozen."
        )
    if len(names) == len([*model.parameters()]) - 2:  # all but weight and bias of `fc`
        return ask(lambda: None) if not model.training else f"{names[0]} is still frozen."
    if names:
        return f"Some learn now, but {names[0]} is still frozen."
    if find_still(before, model) != [name for name, _ in model.named_parameters()]:
        return "The weights have changed: only `requires_grad` should."
    return None


@checks("4.3")
def check_4_3(make_groups: Callable) -> str | None:
    model = nn.ModuleDict()
    model.stem, model.body, model.fc = nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(4, 2)
    freeze(model.stem)
    optimizer = torch.optim.SGD(ask(make_groups, model), lr=1.0)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    if any(id(parameter) in rates for parameter in model.stem.parameters()):
        return "The stem is frozen here: leave out what does not learn."
    for name, rate in (("body", 1e-4), ("fc", 1e-3)):
        for parameter in getattr(model, name).parameters():
            given = rates.get(id(parameter))
            if given is None:
                return f"A parameter of the {name} is in no group: the optimizer never moves it."
            if given != rate:
                return f"A parameter of the {name} has the rate {given:g}, not {rate:g}."
    model.stem.requires_grad_(True)
    optimizer = torch.optim.SGD(make_groups(model), lr=1.0)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    given = [rates.get(id(parameter)) for parameter in model.stem.parameters()]
    if given != [1e-4, 1e-4]:
        return f"With the stem unfrozen, its parameters have the rates {given}, not 0.0001."
    return None


@checks("4.4")
def check_4_4(pays: Callable) -> str | None:
    for gained, lost in PAIRS:
        frozen = torch.tensor([False] * gained + [True] * lost + [True] * 200 + [False] * 5)
        unfrozen = torch.tensor([True] * gained + [False] * lost + [True] * 200 + [False] * 5)
        order = torch.randperm(len(frozen), generator=torch.Generator().manual_seed(0))
        given = ask(pays, frozen[order], unfrozen[order])
        p_value = find_p_value(gained, lost)
        right = gained > lost and p_value < 0.05
        if bool(given) == right:
            continue
        figures = f"With {gained} gained and {lost} lost, p is {p_value:.2g}"
        if lost > gained:
            return f"{figures}, but it is the frozen network that is better."
        return f"{figures}: that is {'' if right else 'not '}enough to call it better."
    return None
