"""From decoded pictures to what a network is shown: random views to train, one view to test.

Both work on a whole batch at once and on the device the batch is on. A random view is one affine
map per picture (rotation, flip, crop and shift in one sampling step), as in spatial transformers
(Jaderberg et al., 2015, https://arxiv.org/abs/1506.02025).
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from utils.weights import Preprocessing


@dataclass(frozen=True)
class Augmentation:
    """How far a random view may be from the picture."""

    rotation: float = 15.0  # degrees to either side
    smallest_crop: float = 0.7  # side of the smallest crop, as a part of the picture's side
    flip: float = 0.5  # probability of a mirror picture
    brightness: float = 0.2  # largest relative change


def normalize(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """(x - mean) / std per channel: values in 0..1 get a mean near 0 and a deviation near 1."""
    mean = images.new_tensor(preprocessing.mean).view(3, 1, 1)
    std = images.new_tensor(preprocessing.std).view(3, 1, 1)
    return (images - mean) / std


def denormalize(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """The way back from `normalize`: x * std + mean, for looking at what a network saw."""
    mean = images.new_tensor(preprocessing.mean).view(3, 1, 1)
    std = images.new_tensor(preprocessing.std).view(3, 1, 1)
    return images * std + mean


def crop_center(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """What testing sees: uint8 [N, 3, S, S] → middle, normalised, float [N, 3, crop, crop]."""
    start = (images.shape[-1] - preprocessing.crop) // 2
    stop = start + preprocessing.crop
    return normalize(images[..., start:stop, start:stop].float() / 255, preprocessing)


def draw_maps(
    count: int, recipe: Augmentation, generator: torch.Generator | None = None
) -> torch.Tensor:
    """One random affine map per picture, float [count, 2, 3]: output to input, both in -1..1."""

    def draw(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    angle = torch.deg2rad(draw(-recipe.rotation, recipe.rotation))
    side = draw(recipe.smallest_crop, 1.0)
    mirror = 1 - 2 * (draw(0, 1) < recipe.flip).float()
    shift_x, shift_y = draw(-1, 1) * (1 - side), draw(-1, 1) * (1 - side)
    rows = [
        [side * angle.cos() * mirror, -side * angle.sin(), shift_x],
        [side * angle.sin() * mirror, side * angle.cos(), shift_y],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=1)


def draw_views(
    images: torch.Tensor,
    preprocessing: Preprocessing,
    recipe: Augmentation,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """What training sees: uint8 [N, 3, S, S] → random views, normalised, float [N, 3, crop, crop].

    Randomness comes from `generator`, or from PyTorch's global seed. What a rotation turns in from
    outside is the picture mirrored at its edge, so that no black corners give the rotation away.
    """
    count, size = len(images), preprocessing.crop
    maps = draw_maps(count, recipe, generator)
    light = 1 + recipe.brightness * (2 * torch.rand(count, generator=generator) - 1)
    grid = F.affine_grid(maps, [count, 3, size, size], align_corners=False).to(images.device)
    views = F.grid_sample(
        images.float() / 255, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    views = (views * light.to(images.device).view(-1, 1, 1, 1)).clamp(0, 1)
    return normalize(views, preprocessing)
