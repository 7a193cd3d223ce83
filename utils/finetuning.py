"""Training a pretrained network on: what may learn, at which rate, and what memory it takes."""

import torch
from torch import nn
from torch.nn import functional as F

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
