"""Which pictures there are, which class each belongs to, and what each may be used for."""

import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.corrections import (
    apply_corrections,
    describe_corrections,
    find_corrections_file,
    name_files,
    read_corrections,
)
from utils.download import fetch_dataset
from utils.errors import CourseError
from utils.settings import Settings
from utils.sources import find_source

IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Split:
    """Pictures for one purpose: their files and their classes' numbers, in the same order."""

    name: str  # "train", "validation" or "test"
    paths: tuple[Path, ...]
    labels: np.ndarray  # int64 [N]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, rows) -> "Split":
        """The pictures with these row numbers, in this order."""
        rows = np.asarray(rows)
        return Split(
            self.name, tuple(self.paths[row] for row in rows), self.labels[rows], self.classes
        )


@dataclass(frozen=True)
class Dataset:
    """A dataset in three parts. `test` is touched once, at the end of each notebook."""

    name: str
    root: Path
    classes: tuple[str, ...]  # in alphabetical order: cats = 0, dogs = 1
    train: Split
    validation: Split
    test: Split
    licence: str
    origin: str


def open_dataset(settings: Settings, validation_part: float = 0.1, seed: int = 0) -> Dataset:
    """Fetch the dataset if it is not there yet, list its pictures, and split them.

    The folder the archive calls `valid` becomes the test set. `validation_part` of each class of
    `train`, drawn with `seed`, becomes the validation set: the only one that choices are made on.
    Labels that were corrected in notebook 05 apply to the training set alone, and a line says so.
    Raises CourseError where the dataset cannot be had or has not the expected folders.
    """
    source = find_source(settings.data)
    folders = fetch_dataset(source, settings.home)
    classes = find_classes(folders.train)
    everything = list_split("train", folders.train, classes)
    train, validation = split_stratified(everything, validation_part, seed)
    train = correct_split(train, folders.root, find_corrections_file(settings))
    test = list_split("test", folders.test, classes)
    return Dataset(
        folders.name, folders.root, classes, train, validation, test, source.licence, source.origin
    )


def find_classes(folder: Path) -> tuple[str, ...]:
    """The names of the class folders, in alphabetical order; hidden folders are no classes."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not is_hidden(path))
    if len(names) < 2:
        raise CourseError(
            f"{folder} has {len(names)} class folder(s): a classifier needs at least two, "
            "one folder of pictures for each class."
        )
    return tuple(names)


def is_hidden(path: Path) -> bool:
    """`.ipynb_checkpoints` and the like."""
    return path.name.startswith((".", "__"))


def list_split(name: str, folder: Path, classes: tuple[str, ...]) -> Split:
    """All pictures of a folder with one subfolder a class, in alphabetical order.

    Files that have no picture's ending, no bytes, or a hidden name are passed over.
    Raises CourseError for a class without pictures.
    """
    paths, labels = [], []
    for label, class_name in enumerate(classes):
        class_folder = folder / class_name
        found = sorted(path for path in class_folder.rglob("*") if is_picture(path, class_folder))
        if not found:
            raise CourseError(
                f"The class {class_name!r} has no pictures in {class_folder}: put some there, or "
                "remove the class from both parts of the dataset."
            )
        paths += found
        labels += [label] * len(found)
    return Split(name, tuple(paths), np.array(labels), classes)


def is_picture(path: Path, class_folder: Path) -> bool:
    parts = path.relative_to(class_folder).parts
    visible = not any(part.startswith((".", "__")) for part in parts)
    return (
        visible
        and path.suffix.lower() in IMAGE_ENDINGS
        and path.is_file()
        and path.stat().st_size > 0
    )


def split_stratified(split: Split, validation_part: float, seed: int) -> tuple[Split, Split]:
    """Part of each class for validation, the rest for training: the same for the same seed.

    Raises CourseError where a class has fewer than two pictures, so that one part would lack it.
    """
    generator = np.random.default_rng(seed)
    chosen = []
    for label, class_name in enumerate(split.classes):
        rows = np.flatnonzero(split.labels == label)
        if len(rows) < 2:
            raise CourseError(
                f"The class {class_name!r} has {len(rows)} training picture: at least two are "
                "needed, one to train on and one to validate on."
            )
        number = max(1, round(len(rows) * validation_part))
        chosen.append(generator.permutation(rows)[:number])
    is_validation = np.zeros(len(split), dtype=bool)
    is_validation[np.concatenate(chosen)] = True
    train = split.select(np.flatnonzero(~is_validation))
    validation = split.select(np.flatnonzero(is_validation))
    return train, Split("validation", validation.paths, validation.labels, split.classes)


def correct_split(split: Split, root: Path, table: Path) -> Split:
    """The training split with the corrections of a table, if there is one; says what it changed.

    Validation and test pictures are what everything is measured with: they stay as they are.
    """
    corrections = read_corrections(table, split.classes)
    if not corrections:
        return split
    files = name_files(split.paths, root)
    rows, labels = apply_corrections(files, split.labels, split.classes, corrections)
    if changes := describe_corrections(files, split.labels, labels, rows):
        print(f"Corrections of training labels in {table.parent.name}/{table.name}: {changes}.")
    others = [file for file in corrections.keys() - set(files) if (root / file).is_file()]
    if others:
        print(
            f"{len(others)} of its lines are of validation or test pictures and do not apply: "
            "what a network is measured with is not changed."
        )
    kept = split.select(rows)
    return Split(split.name, kept.paths, labels, split.classes)


def fingerprint_files(paths: tuple[Path, ...], labels: np.ndarray) -> str:
    """A name for exactly these files: changes with any name, size, date, label or order.

    Where their common folder lies does not count: a shared one has other paths on each laptop.
    """
    digest = hashlib.sha256()
    root = Path(os.path.commonpath(paths))
    for path, label in zip(paths, labels, strict=True):
        status, name = path.stat(), path.relative_to(root).as_posix()
        digest.update(f"{name} {status.st_size} {status.st_mtime_ns} {label}\n".encode())
    return digest.hexdigest()[:16]


def count_workers() -> int:
    """Worker processes for a loader that decodes files: one a core, two at most.

    None on Windows and macOS, where a notebook's workers start slowly and often not at all.
    """
    return min(2, os.cpu_count() or 1) if platform.system() == "Linux" else 0
