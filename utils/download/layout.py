"""How a dataset lies in its folders: train/<class>/… and valid/<class>/…, wherever they start."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from utils.errors import CourseError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
TEST_NAMES = ("valid", "validation", "val", "test")  # in order of preference
SPLIT_NAMES = ("train", *TEST_NAMES)
SIDE_FOLDERS = ("test1", "sample", "models")  # what dogscats.tgz carries besides train and valid
DEEPEST = 3  # folders between the given one and train/; nobody means to search a whole disk
MOST_FOLDERS = 1_000


@dataclass(frozen=True)
class DatasetFolders:
    """Where a dataset lies. `test` is the part its archive calls valid, validation, val or test."""

    name: str
    root: Path
    train: Path
    test: Path


def is_hidden(name: str) -> bool:
    """`.ipynb_checkpoints`, `._cat.jpg`, `__MACOSX` and the like."""
    return name.startswith((".", "__"))


def is_image_name(name: str) -> bool:
    return not is_hidden(name) and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def list_folders(folder: Path) -> list[Path]:
    """The visible folders directly in `folder`, in alphabetical order."""
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name for entry in entries if entry.is_dir() and not is_hidden(entry.name)
        )
    return [folder / name for name in names]


def count_images(folder: Path) -> int:
    """Image files in `folder` and below, by their names; hidden and zero-byte files are none."""
    number = 0
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        number += sum(
            is_image_name(name) and os.stat(os.path.join(where, name)).st_size > 0 for name in files
        )
    return number


def count_classes(split: Path) -> dict[str, int]:
    """Images of each class of a split, classes in alphabetical order."""
    return {folder.name: count_images(folder) for folder in list_folders(split)}


def find_dataset(
    name: str, root: Path, address: str, found: Counter[str] | None = None
) -> DatasetFolders:
    """The train and test folders at or below `root`: the shallowest folder that has both.

    `address` is what messages call the dataset; `found` are the images in each folder of its
    archive, of which `root` holds a part only. Raises CourseError if there are no such folders, or
    if their classes make no sense.
    """
    level, visited = [root], 0
    for depth in range(DEEPEST + 1):
        for folder in level:
            if (splits := _find_splits(folder)) is not None:
                folders = DatasetFolders(name, root, *splits)
                _check_classes(folders, address)
                return folders
        visited += len(level)
        if depth == DEEPEST or visited > MOST_FOLDERS:
            break
        level = [child for folder in level for child in list_folders(folder)]
        if len(level) > 1:  # a lone top folder may be called anything, "sample" too
            level = [folder for folder in level if folder.name not in SIDE_FOLDERS]
    raise CourseError(
        f"{address} has no pictures in the layout train/<class>/*.jpg and valid/<class>/*.jpg "
        f"(or {', '.join(TEST_NAMES[1:-1])} or {TEST_NAMES[-1]} for valid): it has "
        f"{_describe_found(found or _count_found(root))}."
    )


def _find_splits(folder: Path) -> tuple[Path, Path] | None:
    named = {child.name.lower(): child for child in list_folders(folder)}
    for test_name in TEST_NAMES:
        if "train" in named and test_name in named:
            splits = named["train"], named[test_name]
            if all(any(count_classes(split).values()) for split in splits):
                return splits
    return None


def _check_classes(folders: DatasetFolders, address: str) -> None:
    train, test = count_classes(folders.train), count_classes(folders.test)
    within = address[0].lower() + address[1:]
    for split, counts in ((folders.train, train), (folders.test, test)):
        for class_name, number in counts.items():
            if number == 0:
                raise CourseError(
                    f"The class {class_name!r} of {within} has no images in {split.name}: put "
                    "some there, or remove the class from both parts."
                )
    if set(train) != set(test):
        only = sorted(set(train) ^ set(test))[0]
        has, lacks = (folders.train, folders.test)[:: 1 if only in train else -1]
        raise CourseError(
            f"The class {only!r} of {within} is in {has.name} and not in {lacks.name}: both parts "
            "need a folder for every class, of the same name."
        )
    if len(train) < 2:
        raise CourseError(
            f"{address} has only one class, {next(iter(train))!r}: a classifier needs at least "
            "two, one folder of pictures each."
        )


def _count_found(root: Path) -> Counter[str]:
    images: Counter[str] = Counter()
    for where, folders, files in os.walk(root):
        relative = os.path.relpath(where, root)
        depth = 0 if relative == "." else relative.count(os.sep) + 1
        folders[:] = sorted(name for name in folders if not is_hidden(name) and depth < DEEPEST)
        images[relative.replace(os.sep, "/")] = sum(map(is_image_name, files))
        if len(images) > MOST_FOLDERS:
            break
    return images


def _describe_found(images: Counter[str]) -> str:
    shown = [f"{name} ({number} images)" for name, number in images.items() if number]
    if len(shown) > 6:
        shown[5:] = [f"{len(shown) - 5} more folders"]
    # A name that is no text in any encoding must not make the message itself fail to print.
    return ", ".join(shown).encode("utf-8", "replace").decode() or "no images"
