"""Images made worse step by step, and what that costs a network."""

import io
from collections.abc import Callable
from typing import NamedTuple

import torch
from PIL import Image
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as transforms
from tqdm.auto import tqdm

from utils.claims import find_interval


class Corruption(NamedTuple):
    """One way to make images worse. `apply` takes and returns uint8 [N, 3, H, W]."""

    unit: str
    levels: tuple[float, ...]  # from mild to severe
    apply: Callable[[torch.Tensor, float], torch.Tensor]


def blur(images: torch.Tensor, deviation: float) -> torch.Tensor:
    """Out of focus: a Gaussian of this standard deviation, in pixels."""
    return transforms.gaussian_blur(images, 2 * round(2.5 * deviation) + 1, deviation)


def add_noise(images: torch.Tensor, deviation: float) -> torch.Tensor:
    """A bad sensor: Gaussian noise, standard deviation as a share of white; always the same."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=generator)
    return (images + 255 * deviation * noise).clamp(0, 255).byte()


def rotate(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """A tilted camera: turned in a frame of mirrored edges, and the middle cut out."""
    size = images.shape[-2:]
    wide = transforms.pad(images, [side // 2 for side in reversed(size)], padding_mode="reflect")
    return transforms.center_crop(
        transforms.rotate(wide, degrees, InterpolationMode.BILINEAR), size
    )


def darken(images: torch.Tensor, share: float) -> torch.Tensor:
    """Night: `share` of the light is missing."""
    return (images * (1 - share)).byte()


def cover(images: torch.Tensor, share: float) -> torch.Tensor:
    """Something in front: a grey square over `share` of the area, in the middle."""
    size = images.shape[-1]
    side = round(size * share**0.5)
    start = (size - side) // 2
    return transforms.erase(images, start, start, side, side, torch.tensor(128, dtype=torch.uint8))


def compress(images: torch.Tensor, quality: float) -> torch.Tensor:
    """Saved as a JPEG of this quality (100 is best)."""
    worse = []
    for image in images:
        file = io.BytesIO()
        transforms.to_pil_image(image).save(file, "JPEG", quality=int(quality))
        worse.append(transforms.pil_to_tensor(Image.open(file)))
    return torch.stack(worse)


CORRUPTIONS = {
    "blur": Corruption("standard deviation in pixels", (2, 5, 10), blur),
    "noise": Corruption("standard deviation, share of white", (0.1, 0.3, 0.6), add_noise),
    "rotation": Corruption("degrees", (30, 90, 180), rotate),
    "darkness": Corruption("share of the light missing", (0.5, 0.8, 0.95), darken),
    "cover": Corruption("share of the area covered", (0.1, 0.3, 0.6), cover),
    "JPEG": Corruption("quality", (30, 10, 3), compress),
}


@torch.no_grad()
def measure_robustness(
    networks: dict[str, nn.Module],
    images: torch.Tensor,
    labels: torch.Tensor,
    normalize: Callable[[torch.Tensor], torch.Tensor],
) -> dict[str, dict[str, tuple]]:
    """Accuracy of each network under each corruption, as `plots.inspection` draws it.

    `images` are uint8 [N, 3, H, W] as the networks see them, before `normalize`. Returned is
    [corruption][network] → (names of the levels, accuracies, low and high ends of 95 % intervals),
    level 0 being the images as they are.
    """
    for network in networks.values():
        network.eval()

    def count(worse: torch.Tensor, network: nn.Module) -> int:
        device = next(network.parameters()).device
        batches = (
            network(normalize(some).to(device)).argmax(dim=1).cpu() for some in worse.split(16)
        )
        return int((torch.cat(list(batches)) == labels).sum())

    as_they_are = {name: count(images, network) for name, network in networks.items()}
    curves: dict[str, dict[str, tuple]] = {}
    for kind, corruption in tqdm(CORRUPTIONS.items(), "corruptions", leave=False):
        counts = {name: [number] for name, number in as_they_are.items()}
        for level in corruption.levels:
            worse = corruption.apply(images, level)
            for name, network in networks.items():
                counts[name].append(count(worse, network))
        levels = ["as is", *(f"{level:g}" for level in corruption.levels)]
        curves[kind] = {}
        for name, numbers in counts.items():
            low, high = zip(*(find_interval(n, len(labels)) for n in numbers), strict=True)
            curves[kind][name] = (levels, [n / len(labels) for n in numbers], low, high)
    return curves


def find_breaking_level(curve: tuple, lowest: float = 0.9) -> str | None:
    """The mildest level at which the accuracy is below `lowest`; None where it never is.

    Compare it between networks under one corruption, never between corruptions: their levels are
    as we chose them.
    """
    levels, accuracies = curve[:2]
    found = (level for level, accuracy in zip(levels, accuracies, strict=True) if accuracy < lowest)
    return next(found, None)
