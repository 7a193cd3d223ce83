"""Where a network looks: Grad-CAM, and the test whether its maps depend on what was learned."""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import nn

from utils.models import CustomCNN, split_stages

BATCH_SIZE = 8  # pictures whose activations are kept for the gradient at once


def find_map_layer(model: nn.Module) -> nn.Module:
    """The last layer that still knows where: its output is [N, channels, height, width]."""
    if isinstance(model, CustomCNN):
        return model.conv3
    return model.layer4 if hasattr(model, "layer4") else model.bn2


def list_stages(model: nn.Module) -> dict[str, list[nn.Module]]:
    """The parts of a network from the pixels to the logits, by name."""
    if isinstance(model, CustomCNN):
        names = ("conv1", "conv2", "conv3", "hidden", "output")
        return {name: [getattr(model, name)] for name in names}
    return split_stages(model)


def compute_grad_cam(
    model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor | int
) -> torch.Tensor:
    """What speaks for `targets` (positive) and against them (negative), float [N, height, width].

    Each channel of the last maps is weighted by the mean gradient of the target's logit, and the
    channels are summed (Selvaraju et al., 2017, https://arxiv.org/abs/1610.02391). `inputs` are
    normalised pictures [N, 3, H, W] on the model's device; the map is as coarse as that layer.
    """
    from captum.attr import LayerGradCam

    method = LayerGradCam(model.eval(), find_map_layer(model))
    targets = torch.as_tensor(targets, device=inputs.device).expand(len(inputs)).clone()
    maps = []
    for batch, wanted in zip(inputs.split(BATCH_SIZE), targets.split(BATCH_SIZE), strict=True):
        # Captum wants inputs with gradients, which a frozen network would not make by itself.
        batch = batch.detach().clone().requires_grad_()
        maps.append(method.attribute(batch, target=wanted).detach()[:, 0].float().cpu())
    return torch.cat(maps)


def overlay_map(image: np.ndarray, heat: torch.Tensor) -> np.ndarray:
    """A picture, uint8 [H, W, 3], lit where a map is positive and dimmed elsewhere.

    The map is scaled to its own maximum: it says where, not how much.
    """
    positive = heat.clamp(min=0)
    scaled = (positive / positive.max().clamp(min=1e-12) * 255).byte().numpy()
    high, wide = image.shape[:2]
    mask = np.asarray(Image.fromarray(scaled).resize((wide, high), Image.Resampling.BICUBIC))
    light = mask[..., None] / 255.0
    warm = np.array([255.0, 225.0, 120.0])
    lit = image * (0.5 + 0.5 * light)  # dark fur on dark ground is still to be seen
    return (lit * (1 - 0.3 * light) + 0.3 * light * warm).clip(0, 255).astype(np.uint8)


@torch.no_grad()
def randomize_weights(modules: list[nn.Module], generator: torch.Generator) -> None:
    """Draw the kernels and matrices anew, with the mean and deviation that each of them had."""
    for module in modules:
        for weight in module.parameters():
            if weight.ndim > 1:
                noise = torch.randn(weight.shape, generator=generator).to(weight.device)
                weight.copy_(weight.mean() + weight.std() * noise)


def randomize_from_head(model: nn.Module, seed: int = 0) -> Iterator[str]:
    """Randomise a network in place, one stage after the other from the head to the pixels.

    Yields the name of the stage that has lost its training (and all above it with it): the
    cascading test of Adebayo et al. (2018, https://arxiv.org/abs/1810.03292).
    """
    generator = torch.Generator().manual_seed(seed)
    for name, modules in reversed(list_stages(model).items()):
        randomize_weights(modules, generator)
        yield name


def compare_maps(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    """Spearman's rank correlation of each pair of maps, float [N]: 1 same order, 0 unrelated."""
    from scipy.stats import rankdata  # here, since nothing else needs it, and it is slow to import

    ranks = [rankdata(maps.flatten(start_dim=1).numpy(), axis=1) for maps in (first, second)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    scale = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    product = (centred[0] * centred[1]).sum(axis=1)
    return np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
