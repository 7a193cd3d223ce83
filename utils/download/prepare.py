"""A person's own images as a clean tree that plain ImageFolder reads: train/<class>, valid/<class>.

Every file is looked into; a good one is linked into the tree, of another a converted copy written.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from utils.download.archives import is_archive_name
from utils.download.images import needs_copy, save_copy
from utils.download.layouts import ENDINGS, TEXTS, Folder, find_layout
from utils.files import describe_write_error
from utils.settings import CourseError

TEST_SHARE = 0.2  # of a dataset without a split
FEWEST = {"train": 2, "valid": 1}  # images of each class
LOSSLESS = (".png", ".gif", ".bmp", ".tif", ".tiff", ".pgm", ".ppm")
LINKS = (os.link, os.symlink, shutil.copy2)  # the last one always works
FEW = 10  # times fewer images than another class: worth a word
SHOWN = 10  # classes, and files that were left out, in the table


class Item(NamedTuple):
    """An image that belongs into the tree."""

    name: str  # below its class
    file: Path
    is_good: bool  # as it is


def prepare_tree(folder: Folder, tree: Path, address: str) -> list[str]:
    """Make the new folder `tree` of the images in `folder`; returns the lines of its table.

    `address` is what sentences call the folder. Raises CourseError where its layout is not clear,
    a class has too few images, or the disk is full.
    """
    layout = find_layout(folder, address)
    paths = [file for part in layout.parts.values() for files in part.values() for _, file in files]
    looks = dict(zip(paths, _run(_look, paths, "looking"), strict=True))
    left_out = {file: look for file, look in looks.items() if isinstance(look, str)}
    ignored = {file for child in layout.ignored for file in child.all_images}
    others = [file for file in folder.all_images if file not in looks and file not in ignored]
    others += [file for file in folder.all_others if not _is_text(file)]
    parts = {
        part: {
            name: [Item(below, file, looks[file]) for below, file in files if file not in left_out]
            for name, files in classes.items()
        }
        for part, classes in layout.parts.items()
    }
    if "valid" not in parts:
        parts = _split(parts["train"])
        layout.taken.append(f"{TEST_SHARE:.0%} of each class, drawn at random → valid")
    reasons = [str(reason).replace(f"{folder.path}{os.sep}", "") for reason in left_out.values()]
    reasons += [f"{file.relative_to(folder.path)} is no image of a class." for file in others]
    _check_counts(parts, address, reasons)
    jobs = [
        (item, tree / part / name / new_name)
        for part, classes in parts.items()
        for name, items in classes.items()
        for item, new_name in zip(items, _name_files(items), strict=True)
    ]
    try:
        for folder_name in {target.parent for _, target in jobs}:
            folder_name.mkdir(parents=True, exist_ok=True)
        # From an unpacked archive, which goes away, no symbolic link may lead into the tree.
        links = (os.link, shutil.copy2) if tree.parent in folder.path.parents else LINKS
        _run(partial(_place, links), jobs, "preparing")
    except OSError as error:
        raise describe_write_error(error, tree.parent.parent) from error
    counts = {
        part: {name: len(items) for name, items in classes.items()}
        for part, classes in parts.items()
    }
    copies = sum(not item.is_good for item, _ in jobs)
    ignored = [f"{child.name} ({len(child.all_images)} images)" for child in layout.ignored]
    return [
        *format_counts(counts),
        *(f"taken     {sentence}" for sentence in layout.taken),
        *([f"converted {copies:,} copies, of files that are no plain RGB"] if copies else []),
        *([f"ignored   {', '.join(ignored)}: no classes in it"] if ignored else []),
        *_format_left_out(reasons),
    ]


def format_counts(counts: dict[str, dict[str, int]]) -> list[str]:
    """The images of each class and part, as the lines of a table; a note where they differ much."""
    names = list(counts["train"])
    width = max(len("all classes"), *(len(name) for name in names[:SHOWN]))
    rows = [(name, counts["train"][name], counts["valid"][name]) for name in names[:SHOWN]]
    if len(names) > SHOWN:
        rows.append((f"… {len(names) - SHOWN} more", "", ""))
    rows.append(("all classes", *(sum(part.values()) for part in counts.values())))
    lines = [f"{'class':{width}} {'train':>7} {'valid (the test set)':>21}"]
    lines += [f"{name:{width}} {train:>7} {valid:>21}" for name, train, valid in rows]
    few, many = (chosen(names, key=counts["train"].get) for chosen in (min, max))
    if counts["train"][few] * FEW <= counts["train"][many]:
        lines.append(
            f"Note: {counts['train'][few]} images of {few} to train on, {counts['train'][many]} of "
            f"{many}: a network that never says {few} is right nearly always. Add some of {few}."
        )
    return lines


def _format_left_out(reasons: list[str]) -> list[str]:
    if not reasons:
        return []
    lines = [f"left out  {len(reasons):,} files:", *(f"  {reason}" for reason in reasons[:SHOWN])]
    return lines + [f"  and {len(reasons) - SHOWN:,} more"] * (len(reasons) > SHOWN)


def _is_text(file: Path) -> bool:
    return file.suffix.lower() in TEXTS or is_archive_name(file.name)


def _look(file: Path) -> bool | str:
    """Whether a file is good as it is, or why it is to be left out."""
    try:
        return not needs_copy(file)
    except CourseError as error:
        return str(error)


def _split(classes: dict[str, list[Item]]) -> dict[str, dict[str, list[Item]]]:
    """A share of each class to test on, the same ones every time."""
    parts: dict[str, dict[str, list[Item]]] = {"train": {}, "valid": {}}
    for name, items in classes.items():
        number = max(1, round(TEST_SHARE * len(items)))
        drawn = set(random.Random(0).sample(range(len(items)), min(number, len(items))))
        parts["train"][name] = [item for row, item in enumerate(items) if row not in drawn]
        parts["valid"][name] = [item for row, item in enumerate(items) if row in drawn]
    return parts


def _check_counts(parts: dict[str, dict[str, list[Item]]], address: str, reasons: list) -> None:
    for name in [*parts["train"], *parts["valid"]]:
        numbers = {part: len(parts[part].get(name, [])) for part in FEWEST}
        if any(numbers[part] < fewest for part, fewest in FEWEST.items()):
            unread = (
                f" ({len(reasons)} files cannot be read, first: {reasons[0]})" if reasons else ""
            )
            raise CourseError(
                f"The class {name!r} of {address[0].lower()}{address[1:]} has {numbers['train']} "
                f"images to train on and {numbers['valid']} to test on{unread}: put at least "
                f"{FEWEST['train']} and {FEWEST['valid']} there, or remove the class from both "
                "parts."
            )


def _name_files(items: list[Item]) -> Iterable[str]:
    """A name for each file of a class that ImageFolder reads and no other has."""
    used: set[str] = set()
    for item in items:
        name, number = item.name, 2
        ending = Path(name).suffix.lower()
        new = ".png" if ending in LOSSLESS else ".jpg"
        if ending not in ENDINGS or not item.is_good and ending != new:
            name += new
        stem, suffix = os.path.splitext(name)
        while name.casefold() in used:
            name, number = f"{stem}-{number}{suffix}", number + 1
        used.add(name.casefold())
        yield name


def _place(links: tuple[Callable, ...], job: tuple[Item, Path]) -> None:
    """Link a good file into the tree, or write a converted copy of another one."""
    item, target = job
    if not item.is_good:
        save_copy(item.file, target)
        return
    for link in links:
        try:
            return link(os.path.realpath(item.file), target)
        except OSError:  # another disk, or one without links
            if link is shutil.copy2:
                raise


def _run(function: Callable, items: list, description: str) -> list:
    """`function` of each item, in as many threads as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            results = pool.map(function, items)
            return list(tqdm(results, description, total=len(items), leave=False))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else an interrupt would wait for all
            raise
