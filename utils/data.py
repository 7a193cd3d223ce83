"""Images as a network wants them: transforms, splits and loaders, as notebook 01 types them."""

import contextlib
import hashlib
import io
import math
import os
from collections.abc import Callable, Sized
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from tqdm.auto import tqdm

from utils.download import download
from utils.download.images import read_image
from utils.files import read_json, require_space, write_atomically, write_json
from utils.settings import CourseError, Settings

__all__ = ["read_image"]  # a room further down, and wanted here
DECODED_AT_ONCE = 256  # images


class Loaders(NamedTuple):
    """A dataset ready for a network: batches of images float32 [32, 3, 224, 224], labels [32]."""

    train: DataLoader  # shuffled, with augmentation
    validation: DataLoader
    test: DataLoader  # opened once, at the end
    class_names: list[str]


def make_transforms(settings: Settings) -> tuple[Callable, Callable]:
    """Notebook 01's transforms, for training and for testing: image → float [3, 224, 224]."""
    to_tensor = [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(settings.mean, settings.std),
    ]
    augment = [
        v2.RandomResizedCrop(224, scale=(0.5, 1.0)),
        v2.RandomHorizontalFlip(),
        v2.RandomRotation(15),
        v2.ColorJitter(brightness=0.2),
    ]
    middle = [v2.Resize(256), v2.CenterCrop(224)]
    return v2.Compose([*augment, *to_tensor]), v2.Compose([*middle, *to_tensor])


def make_loaders(settings: Settings, augment: bool = True) -> Loaders:
    """Notebook 01 in one function: download, split and load. The same split every time.

    Raises CourseError where the dataset cannot be had or a class is too small to be split.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # the table is printed where data are the topic
        folder = download(settings)
    train_transform, test_transform = make_transforms(settings)
    train = ImageFolder(folder / "train", train_transform if augment else test_transform)
    validation = ImageFolder(folder / "train", test_transform)
    test = ImageFolder(folder / "valid", test_transform)
    train_rows, validation_rows = split_rows(train, settings.validation_share)
    workers = count_workers(settings)
    return Loaders(
        DataLoader(Subset(train, train_rows), batch_size=32, shuffle=True, num_workers=workers),
        DataLoader(Subset(validation, validation_rows), batch_size=32, num_workers=workers),
        DataLoader(test, batch_size=32, num_workers=workers),
        train.classes,
    )


def split_rows(folder: ImageFolder, share: float) -> tuple[list[int], list[int]]:
    """Row numbers to train on and to validate on; each class keeps its share (stratified).

    Raises CourseError where a class has too few images for both.
    """
    smallest = min(np.bincount(folder.targets))
    if smallest < 2 or math.ceil(len(folder) * share) < len(folder.classes):
        raise CourseError(
            f"{folder.root} has too few images to set some aside for validation (the smallest "
            f"class has {smallest}): add images until every class has ten or more."
        )
    rows = range(len(folder))
    return train_test_split(rows, test_size=share, stratify=folder.targets, random_state=0)


def count_workers(settings: Settings) -> int:
    """Processes that decode images while a GPU computes; on a CPU they would only get in its way.

    None on Windows and macOS, where a notebook's workers start slowly and often not at all.
    """
    return 2 if settings.device == "cuda" and os.name == "posix" else 0


def denormalize(images: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Undo `v2.Normalize`, for looking at what a network sees: float [..., 3, H, W] in 0..1."""
    mean = images.new_tensor(settings.mean).view(3, 1, 1)
    std = images.new_tensor(settings.std).view(3, 1, 1)
    return (images * std + mean).clamp(0, 1)


def list_files(dataset: Dataset) -> tuple[list[Path], np.ndarray]:
    """Paths and labels, int64 [N], as in the `samples` of an `ImageFolder` or a `Subset` of one."""
    if isinstance(dataset, Subset):
        paths, labels = list_files(dataset.dataset)
        return [paths[row] for row in dataset.indices], labels[list(dataset.indices)]
    assert isinstance(dataset, (ImageFolder, DecodedOnce)), f"{dataset} keeps no list of its files"
    return [Path(path) for path, _ in dataset.samples], np.array([y for _, y in dataset.samples])


def fingerprint(dataset: Dataset) -> str:
    """A name for exactly these images: changes with any name, size, label or order.

    Where their folder lies does not count: a shared one has other paths on each laptop. Of tensors
    (features) it is the numbers that count.
    """
    assert isinstance(dataset, Sized)
    digest = hashlib.sha256(f"{len(dataset)}".encode())
    if isinstance(dataset, TensorDataset):
        for tensor in dataset.tensors:
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]
    paths, labels = list_files(dataset)
    for path, label in zip(paths, labels, strict=True):
        name = "/".join(path.parts[-3:])
        digest.update(f"{name} {path.stat().st_size} {label}\n".encode())
    return digest.hexdigest()[:16]


class DecodedOnce(Dataset):
    """A drop-in for `ImageFolder` that decodes each file once and keeps the pixels on disk.

    `images` is uint8 [N, size, size, 3], memory-mapped: shorter side to `size`, middle square.
    `transform` gets a PIL image of RGB, as from `ImageFolder`: torchvision is quickest with these.
    """

    def __init__(self, folder: ImageFolder, file: Path, size: int = 256) -> None:
        self.transform, self.samples = folder.transform, folder.samples
        self.classes, self.targets = folder.classes, folder.targets
        key = {"images": fingerprint(folder), "size": size}
        notes = file.with_suffix(".json")
        if read_json(notes) != key or not file.exists():
            paths = [Path(path) for path, _ in folder.samples]
            write_atomically(file, lambda output: write_decoded(paths, size, output, file.parent))
            write_json(notes, key)
        self.file, self.size = file, size

    def __getstate__(self) -> dict:  # a worker is sent the path alone, and opens the file itself
        return {name: value for name, value in vars(self).items() if name != "images"}

    @cached_property
    def images(self) -> np.ndarray:
        return np.memmap(self.file, np.uint8, "r").reshape(-1, self.size, self.size, 3)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int):
        image = Image.fromarray(self.images[row])
        return self.transform(image) if self.transform else image, self.targets[row]


def write_decoded(paths: list[Path], size: int, output: BinaryIO, folder: Path) -> None:
    """Decode files with one thread a core and write them one after the other.

    Raises CourseError where the disk of `folder` has not enough room.
    """
    require_space(folder, len(paths) * size * size * 3, "keeping the decoded images")

    def decode(path: Path) -> bytes:
        square = ImageOps.fit(read_image(path), (size, size), Image.Resampling.BILINEAR)
        return np.asarray(square).tobytes()

    with ThreadPoolExecutor(os.cpu_count()) as pool, tqdm(total=len(paths), leave=False) as bar:
        # A few at a time: a disk slower than the processor would fill the memory.
        for first in range(0, len(paths), DECODED_AT_ONCE):
            for pixels in pool.map(decode, paths[first : first + DECODED_AT_ONCE]):
                output.write(pixels)
                bar.update()
