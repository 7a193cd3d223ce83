"""From decoded pictures to what a network is shown: random views to train, one view to test.

Both work on a whole batch, on the device the batch is on. A random view is one affine map per
picture (rotation, flip, crop and shift in one sampling step), as in spatial transformers
(Jaderberg et al., 2015, https://arxiv.org/abs/1506.02025).
"""

from dataclasses import dataclass

import cv2
import numpy as np
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
    maps = draw_maps(len(images), recipe, generator)
    light = 1 + recipe.brightness * (2 * torch.rand(len(images), generator=generator) - 1)
    apply = apply_maps_on_cpu if images.device.type == "cpu" else apply_maps_on_device
    return apply(images, maps, light, preprocessing)


def apply_maps_on_device(
    images: torch.Tensor, maps: torch.Tensor, light: torch.Tensor, preprocessing: Preprocessing
) -> torch.Tensor:
    """Normalised views, float [N, 3, crop, crop]: the whole batch in one sampling step."""
    shape = [len(images), 3, preprocessing.crop, preprocessing.crop]
    grid = F.affine_grid(maps, shape, align_corners=False).to(images.device)
    views = F.grid_sample(
        images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    views = (views * light.to(images.device).view(-1, 1, 1, 1)).clamp(0, 255)
    return normalize(views / 255, preprocessing)


def apply_maps_on_cpu(
    images: torch.Tensor, maps: torch.Tensor, light: torch.Tensor, preprocessing: Preprocessing
) -> torch.Tensor:
    """The same with OpenCV, whose 8-bit arithmetic is several times faster on a processor.

    In channels-last memory order, within a few levels of the other's. Light and normalisation are
    looked up: a pixel has 256 levels, so each picture has a table of 256 results a channel.
    """
    size = preprocessing.crop
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    levels = (light.view(-1, 1, 1, 1) * torch.arange(256.0)).clamp(max=255) / 255
    tables = normalize(levels.expand(-1, 3, -1, -1), preprocessing).permute(0, 2, 3, 1).numpy()
    matrices = to_pixel_maps(maps, size, images.shape[-1])
    warped = np.empty((size, size, 3), np.uint8)
    views = np.empty((len(pixels), size, size, 3), np.float32)
    for source, matrix, table, view in zip(pixels, matrices, tables, views, strict=True):
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(source, matrix, (size, size), warped, flags, cv2.BORDER_REFLECT)
        cv2.LUT(warped, table, view)
    return torch.from_numpy(views).permute(0, 3, 1, 2)


def to_pixel_maps(maps: torch.Tensor, size: int, source_size: int) -> np.ndarray:
    """Maps between coordinates in -1..1 as maps between pixel numbers, float64 [N, 2, 3].

    Pixel i of n has its middle at (2 i + 1) / n - 1.
    """
    linear, shift = maps.double().numpy()[:, :, :2], maps.double().numpy()[:, :, 2]
    shift = (shift + linear.sum(-1) * (1 / size - 1) + 1) * source_size / 2 - 0.5
    return np.concatenate([linear * source_size / size, shift[:, :, None]], axis=-1)
