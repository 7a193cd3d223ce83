"""Training a pretrained network on: what may learn, at which rate, and where the middle lies."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from utils.models import freeze, list_stages


def keep_statistics(model: nn.Module) -> None:
    """Keep all batch norm in eval mode, whatever `model.train()` says from now on.

    A hook, called before each forward pass of a layer, puts it back: the loop does not change.
    """

    def back_to_eval(layer: nn.Module, inputs: tuple) -> None:
        layer.eval()

    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_pre_hook(back_to_eval)


def unfreeze_from(model: nn.Module, lowest: str = "stage 3") -> None:
    """Let the stage `lowest` (a name of `list_stages`) and all above it learn; freeze the rest."""
    freeze(model)
    stages = list_stages(model)
    names = list(stages)
    for name in names[names.index(lowest) :]:
        for module in stages[name]:
            for parameter in module.parameters():
                parameter.requires_grad = True


def group_parameters(model: nn.Module, head_rate: float, factor: float) -> list[dict]:
    """A parameter group for each stage that learns; its rate is `factor` of the one above it.

    Rates that fall towards the pixels are Howard and Ruder's (2018, "ULMFiT",
    https://arxiv.org/abs/1801.06146); timm calls them layer decay.
    """
    groups, rate = [], head_rate
    for name, modules in reversed(list_stages(model).items()):
        parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
        if parameters:
            groups.append({"params": parameters, "lr": rate, "name": name})
        rate *= factor
    return groups


def make_schedule(optimizer: Optimizer, steps: int, warm_up: float = 0.1) -> LambdaLR:
    """Every group's rate: up in a line for `warm_up` of the steps, then down in half a cosine."""

    def share_of_rate(step: int) -> float:
        if step < warm_up * steps:
            return (step + 1) / (warm_up * steps + 1)
        progress = (step - warm_up * steps) / (steps * (1 - warm_up))
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return LambdaLR(optimizer, share_of_rate)


def run_range_test(
    model: nn.Module,
    loader: DataLoader,
    lowest: float = 1e-6,
    highest: float = 1e-2,
    steps: int = 30,
) -> tuple[list[float], list[float]]:
    """Rates from `lowest` to `highest`, and the loss of a batch after the steps before it.

    Adam takes the steps, with a copy of the model: the model and PyTorch's random numbers stay
    what they were. It ends early where the loss is three times what guessing costs (Smith, 2015,
    https://arxiv.org/abs/1506.01186).
    """
    copied = copy.deepcopy(model).train()
    device = next(copied.parameters()).device
    optimizer = torch.optim.Adam([p for p in copied.parameters() if p.requires_grad], lr=lowest)
    rates, losses = [], []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        while len(rates) < steps:
            for images, labels in loader:
                rates.append(lowest * (highest / lowest) ** (len(rates) / (steps - 1)))
                optimizer.param_groups[0]["lr"] = rates[-1]
                logits = copied(images.to(device))
                loss = F.cross_entropy(logits, labels.to(device))
                losses.append(loss.item())
                if not losses[-1] < 3 * math.log(logits.shape[1]):  # true of nan as well
                    return rates, losses
                if len(rates) == steps:
                    break
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return rates, losses


def smooth_losses(losses: list[float], memory: float = 0.7) -> list[float]:
    """The running mean in which each loss counts `memory` times as much as the one after it."""
    smooth, weight, result = 0.0, 0.0, []
    for loss in losses:
        smooth = memory * smooth + (1 - memory) * loss
        weight = memory * weight + (1 - memory)
        result.append(smooth / weight)
    return result


def choose_rate(rates: list[float], losses: list[float], classes: int) -> float:
    """A tenth of the rate where the smoothed loss begins to rise, a tenth of the last without one.

    It begins where it stays, to the end, above its lowest value by a tenth of what guessing costs.
    """
    smoothed = smooth_losses(losses)
    limit = min(smoothed) + 0.1 * math.log(classes)
    below = [number for number, loss in enumerate(smoothed) if loss <= limit]
    return rates[min(below[-1] + 1, len(rates) - 1)] / 10


def stop_early(losses: list[float], patience: int = 2) -> bool:
    """Whether the lowest of the validation losses is `patience` or more epochs ago."""
    return len(losses) - 1 - losses.index(min(losses)) >= patience


def copy_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers as they are now, on the CPU; training on leaves them alone."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def average_weights(
    start: dict[str, torch.Tensor], end: dict[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """Each number of two networks' states, `share` of the way from the first to the second.

    Between a pretrained network and what gentle fine-tuning makes of it the loss stays low
    (Wortsman et al., 2022, https://arxiv.org/abs/2109.01903).
    """
    return {
        name: torch.lerp(old, end[name], share) if old.is_floating_point() else end[name]
        for name, old in start.items()
    }


def measure_change(before: dict[str, torch.Tensor], model: nn.Module) -> dict[str, float]:
    """How far each stage's weights are from `before`: length of the way ÷ length of the weights."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    changes = {}
    for stage, modules in list_stages(model).items():
        pairs = [
            (before[names[id(p)]].flatten(), p.detach().cpu().flatten())
            for module in modules
            for p in module.parameters()
        ]
        old, new = (torch.cat(side) for side in zip(*pairs, strict=True))
        changes[stage] = ((new - old).norm() / old.norm()).item()
    return changes


def measure_saved_bytes(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, apart from the weights themselves.

    Counted where PyTorch puts them away, so the number is the same on every machine.
    """
    weights = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the same memory; attached, the graph would keep itself alive

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = F.cross_entropy(model(images), labels)  # its graph holds what is counted here
    del loss
    return sum(kept.values())
