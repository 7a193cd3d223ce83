"""Training a pretrained network on: what it costs, rates by stage, a schedule, averaged weights."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from utils.models import freeze, split_stages, unfreeze


def unfreeze_from(model: nn.Module, lowest: str = "stage 3") -> None:
    """Let the stage `lowest` and all above it learn; freeze what lies below.

    The first stages hold few of the weights and the largest outputs: to train them costs most of
    the memory.
    """
    freeze(model)
    stages = split_stages(model)
    names = list(stages)
    for name in names[names.index(lowest) :]:
        for module in stages[name]:
            unfreeze(module)


def group_parameters(model: nn.Module, head_rate: float = 1e-4, factor: float = 0.7) -> list[dict]:
    """One parameter group a stage; each stage's rate is `factor` of the one above it.

    Rates that fall towards the pixels are Howard and Ruder's (2018, "ULMFiT",
    https://arxiv.org/abs/1801.06146).
    """
    groups, rate = [], head_rate
    for name, modules in reversed(split_stages(model).items()):
        parameters = [p for module in modules for p in module.parameters()]
        groups.append({"params": parameters, "lr": rate, "name": name})
        rate *= factor
    return groups


def warm_up_then_cosine(step: int, steps: int, warm_up: float = 0.1) -> float:
    """Part of the full rate at a step: up in a line, down in half a cosine."""
    if step < warm_up * steps:
        return (step + 1) / (warm_up * steps + 1)
    progress = (step - warm_up * steps) / (steps * (1 - warm_up))
    return 0.5 * (1 + math.cos(math.pi * progress))


def stop_early(losses: list[float], patience: int = 2) -> bool:
    """Whether the lowest of the validation losses is `patience` or more evaluations ago."""
    evaluations_since_best = len(losses) - 1 - losses.index(min(losses))
    return evaluations_since_best >= patience


def average_weights(
    start: dict[str, torch.Tensor], end: dict[str, torch.Tensor], part: float
) -> dict[str, torch.Tensor]:
    """Each number of two networks' states, `part` of the way from the first to the second.

    Between a pretrained network and what it becomes by gentle fine-tuning the loss stays low, and
    in the middle it is often lowest (Wortsman et al., 2022, "Robust fine-tuning of zero-shot
    models", https://arxiv.org/abs/2109.01903).
    """
    return {
        name: torch.lerp(old, end[name], part) if old.is_floating_point() else end[name]
        for name, old in start.items()
    }


def copy_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers as they are now, on the CPU; training on leaves them alone."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def measure_change(before: dict[str, torch.Tensor], model: nn.Module) -> dict[str, float]:
    """How far each stage's weights are from `before`: length of the way ÷ length of the weights."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    changes = {}
    for stage, modules in split_stages(model).items():
        pairs = [
            (before[names[id(p)]].flatten(), p.detach().cpu().flatten())
            for module in modules
            for p in module.parameters()
        ]
        old, new = (torch.cat(side) for side in zip(*pairs, strict=True))
        changes[stage] = ((new - old).norm() / old.norm()).item()
    return changes


def measure_saved_bytes(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> int:
    """Bytes that a forward pass keeps for the way back, apart from the weights themselves.

    Counted where PyTorch puts them away, so the number is the same on every machine.
    """
    weights = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the same memory, but no circle of a graph that holds its end

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = F.cross_entropy(model(inputs), labels)  # its graph holds what is counted here
    del loss
    return sum(kept.values())
