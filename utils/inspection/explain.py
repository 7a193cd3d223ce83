"""Where a network looks: Grad-CAM, and the test whether its maps depend on what was learned."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from utils import models

LAYERS = {"CustomCNN": "conv3", "ResNet": "layer4", "EfficientNetLite0": "body.bn2"}


def find_map_layer(model: nn.Module) -> nn.Module:
    """The last layer that still has a position for every value: [N, channels, height, width]."""
    return model.get_submodule(LAYERS[type(model).__name__])


def compute_grad_cam(
    model: nn.Module, layer: nn.Module, images: torch.Tensor, targets: Sequence[int]
) -> torch.Tensor:
    """What speaks for the class `targets[n]` of each image, and (negative) what against it.

    Float [N, height, width], as coarse as the layer's output. `images` [N, 3, H, W] are on the
    model's device (Selvaraju et al., 2017, https://arxiv.org/abs/1610.02391).
    """
    kept = []
    hook = layer.register_forward_hook(lambda *call: kept.append(call[-1]))
    logits = model(images.clone().requires_grad_())
    hook.remove()
    answers = logits[range(len(images)), targets]
    (gradient,) = torch.autograd.grad(answers.sum(), kept[0])
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * kept[0]).sum(dim=1).detach().cpu()


@torch.no_grad()
def randomize_weights(modules: list[nn.Module], generator: torch.Generator) -> None:
    """Replace kernels and matrices by random ones of the same mean and standard deviation."""
    for module in modules:
        for weight in module.parameters():
            if weight.ndim > 1:
                noise = torch.randn(weight.shape, generator=generator).to(weight.device)
                weight.copy_(weight.mean() + weight.std() * noise)


def randomize_from_head(model: nn.Module, seed: int = 0) -> Iterator[str]:
    """Randomise a network in place, stage by stage from the head to the pixels.

    Yields the name of the stage that was replaced last: the cascading test of Adebayo et al. (2018,
    https://arxiv.org/abs/1810.03292).
    """
    if isinstance(model, models.CustomCNN):
        layers = ("conv1", "conv2", "conv3", "fc1", "out")
        stages = {name: [getattr(model, name)] for name in layers}
    else:
        stages = models.list_stages(model)
    generator = torch.Generator().manual_seed(seed)
    for name, modules in reversed(stages.items()):
        randomize_weights(modules, generator)
        yield name


def compare_maps(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    """Spearman's rank correlation of each pair of maps, float [N]: 1 same order, 0 unrelated.

    Its sign may turn over with a random head: the same places, counted against instead of for.
    So compare absolute values. A map that is the same everywhere is related to nothing.
    """
    from scipy.stats import spearmanr  # slow to import, and only this needs it

    flat = [maps.flatten(start_dim=1).double().numpy() for maps in (first, second)]
    return np.array(
        [
            spearmanr(one, other).statistic if np.ptp(one) and np.ptp(other) else 0.0
            for one, other in zip(*flat, strict=True)
        ]
    )
