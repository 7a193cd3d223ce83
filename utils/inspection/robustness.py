"""Pictures made worse step by step, and what that costs a network."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as transforms
from tqdm.auto import tqdm

from utils.augmentation import crop_center
from utils.pictures import Pictures
from utils.runs import find_interval
from utils.training import LAYOUT, Plan, autocast

BATCH_SIZE = 16  # pictures at once; more are no faster, and take memory


@dataclass(frozen=True)
class Corruption:
    """One way to make pictures worse. `apply` takes and returns uint8 [N, 3, S, S]."""

    unit: str
    levels: tuple[float, ...]  # from mild to severe
    apply: Callable[[torch.Tensor, float], torch.Tensor]


def blur(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Out of focus: a Gaussian of `sigma` pixels."""
    return transforms.gaussian_blur(images, 2 * round(2.5 * sigma) + 1, sigma)


def add_noise(images: torch.Tensor, deviation: float) -> torch.Tensor:
    """A bad sensor: Gaussian noise, `deviation` as a part of white; the same for every network."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + 255 * deviation * noise).clamp(0, 255).byte()


def rotate(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """A tilted camera; the corners are filled with the picture mirrored at its edge."""
    angle = torch.deg2rad(torch.tensor(float(degrees)))
    rows = [[angle.cos(), -angle.sin(), 0], [angle.sin(), angle.cos(), 0]]
    maps = torch.tensor(rows).expand(len(images), 2, 3)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    turned = F.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False)
    return turned.round().clamp(0, 255).byte()


def darken(images: torch.Tensor, part: float) -> torch.Tensor:
    """Night: `part` of the light is missing."""
    return (images * (1 - part)).byte()


def occlude(images: torch.Tensor, part: float) -> torch.Tensor:
    """Something in front: a grey square over `part` of the picture's area, in its middle."""
    size = images.shape[-1]
    side = round(size * part**0.5)
    start = (size - side) // 2
    covered = images.clone()
    covered[..., start : start + side, start : start + side] = 128
    return covered


def compress(images: torch.Tensor, quality: float) -> torch.Tensor:
    """Saved as a JPEG of this quality (100 is best)."""
    worse = []
    for pixels in images.permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=int(quality))
        worse.append(np.array(Image.open(file)))
    return torch.from_numpy(np.stack(worse)).permute(0, 3, 1, 2)


CORRUPTIONS = {
    "blur": Corruption("deviation in pixels", (2, 5, 10), blur),
    "noise": Corruption("deviation, part of white", (0.1, 0.3, 0.6), add_noise),
    "rotation": Corruption("degrees", (30, 90, 180), rotate),
    "darkness": Corruption("part of the light missing", (0.5, 0.8, 0.95), darken),
    "occlusion": Corruption("part of the area covered", (0.1, 0.3, 0.6), occlude),
    "JPEG": Corruption("quality", (30, 10, 3), compress),
}


@torch.inference_mode()
def count_correct(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, plan: Plan) -> int:
    """How many of these pictures, uint8 [N, 3, S, S], the network names rightly."""
    inputs = crop_center(images.to(plan.device), plan.preprocessing)
    with autocast(plan.device, plan.precision):
        logits = model(inputs.contiguous(memory_format=LAYOUT))
    return (logits.argmax(dim=1).cpu() == labels).sum().item()


def measure_robustness(
    models: dict[str, nn.Module], pictures: Pictures, rows: list[int], plan: Plan
) -> dict[str, dict[str, list[int]]]:
    """Correct answers of each network under each corruption: [corruption][network] by level.

    The first number of each list is for the pictures as they are.
    """
    for model in models.values():
        model.to(plan.device, memory_format=LAYOUT).eval()
    batches = [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]
    loaded = [pictures.load(batch) for batch in batches]

    def count(apply: Callable[[torch.Tensor, float], torch.Tensor], level: float) -> dict[str, int]:
        correct = dict.fromkeys(models, 0)
        for images, labels in loaded:
            worse = apply(images.contiguous(), level)
            for name, model in models.items():
                correct[name] += count_correct(model, worse, labels, plan)
        return correct

    clean = count(lambda images, level: images, 0)
    correct = {kind: {name: [clean[name]] for name in models} for kind in CORRUPTIONS}
    steps = [(kind, level) for kind, one in CORRUPTIONS.items() for level in one.levels]
    for kind, level in tqdm(steps, "corruptions", leave=False):
        for name, number in count(CORRUPTIONS[kind].apply, level).items():
            correct[kind][name].append(number)
    return correct


def trace_curves(
    correct: dict[str, dict[str, list[int]]], seen: int
) -> dict[str, dict[str, tuple]]:
    """Accuracy by level with its 95 % interval, [corruption][network]: (levels, middle, low, high).

    `correct` is what `measure_robustness` counted on `seen` pictures.
    """
    curves: dict[str, dict[str, tuple]] = {}
    for kind, by_network in correct.items():
        levels = ["as is", *(f"{level:g}" for level in CORRUPTIONS[kind].levels)]
        curves[kind] = {}
        for name, counts in by_network.items():
            low, high = zip(*(find_interval(count, seen) for count in counts), strict=True)
            curves[kind][name] = (levels, [count / seen for count in counts], low, high)
    return curves
