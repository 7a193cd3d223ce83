"""A person's own images as a clean tree that plain ImageFolder reads: train/<class>, valid/<class>.

Every file is looked into; a good one is linked into the tree, of another a converted copy written.
"""

import math
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from pathlib import Path

from tqdm.auto import tqdm

from utils.download.archives import LONGEST
from utils.download.images import SHORTER_SIDE, needs_copy, read_image
from utils.download.layouts import ENDINGS, Folder, Row, find_layout
from utils.files import count
from utils.settings import CourseError

TEST_SHARE = 0.2  # of a dataset without a split
FEWEST = {"train": 2, "valid": 1}  # images of each class
LOSSLESS = (".png", ".gif", ".bmp", ".tif", ".tiff", ".pgm", ".ppm")
LINKS = (os.link, os.symlink, shutil.copy2)  # the last one always works
FEW = 10  # times fewer images than another class: worth a word
SHOWN = 10  # classes, and files that were left out, in the table


def prepare_tree(
    folder: Folder, tree: Path, address: str, lost: list[str], share: float
) -> list[str]:
    """Make the new folder `tree` of the images in `folder`; returns the lines of its table.

    `address` is what sentences call the folder, `lost` is what could not be unpacked of it, and
    `share` of the training part will be set aside for validation. Raises CourseError where the
    layout is not clear or images are too few; faults of the disk are the caller's to explain.
    """
    layout = find_layout(folder, address)
    rows = layout.rows
    paths = [row.file for row in rows] + folder.all_odd
    looks = dict(zip(paths, _run(_look, paths, "looking"), strict=True))
    ignored = {file for child in layout.ignored for file in child.all_images}
    strays = sorted(set(folder.all_images).difference(ignored, looks))
    reasons = [look for look in looks.values() if isinstance(look, str)]
    reasons += [f"{file} is in no class." for file in strays]
    odd = [file for file in folder.all_odd if not isinstance(looks[file], str)]
    reasons += [f"{file} is an image and not called one: rename it." for file in odd]
    reasons = [reason.replace(f"{folder.path}{os.sep}", "") for reason in reasons] + lost
    rows = [row for row in rows if not isinstance(looks[row.file], str)]
    if "valid" not in layout.parts:
        rows = _split(rows)
        layout.taken.append(f"{TEST_SHARE:.0%} of each class, drawn at random → valid")
    names = dict.fromkeys(name for classes in layout.parts.values() for name in classes)
    found = Counter((row.part, row.name) for row in rows)
    counts = {part: {name: found[part, name] for name in names} for part in FEWEST}
    _check_counts(counts, address, reasons, share)
    jobs = [
        (row.file, looks[row.file], tree / row.part / row.name / name)
        for row, name in zip(rows, _name_files(rows, looks), strict=True)
    ]
    for new in {target.parent for *_, target in jobs}:
        new.mkdir(parents=True, exist_ok=True)
    # From an unpacked archive, which goes away, no symbolic link may lead into the tree.
    links = (os.link, shutil.copy2) if tree.parent in folder.path.parents else LINKS
    _run(partial(_place, links), jobs, "preparing")
    lines = [*format_counts(counts), *(f"taken     {sentence}" for sentence in layout.taken)]
    if copies := sum(looks[row.file] for row in rows):
        lines.append(f"converted {count(copies, 'file')} to plain RGB, large ones to fewer pixels")
    for child in layout.ignored:
        images = count(len(child.all_images), "image")
        lines.append(f"ignored   {child.name} ({images}): not taken for a part or a class")
    if reasons:
        lines += [f"left out  {count(len(reasons), 'file')}:", *(f"  {r}" for r in reasons[:SHOWN])]
        lines += [f"  and {len(reasons) - SHOWN:,} more"] * (len(reasons) > SHOWN)
    return lines


def format_counts(counts: dict[str, dict[str, int]]) -> list[str]:
    """The images of each class and part, as the lines of a table; a note where they differ much."""
    names = list(counts["train"])
    parts = [counts[part] for part in FEWEST]
    rows: list[tuple] = [(" ".join(n.split())[:40], *(p[n] for p in parts)) for n in names[:SHOWN]]
    if len(names) > SHOWN:
        rows.append((f"… {len(names) - SHOWN} more", "", ""))
    rows.append(("all classes", *(sum(part.values()) for part in counts.values())))
    width = max(len(row[0]) for row in rows)
    lines = [f"{'class':{width}} {'train':>7} {'valid (the test set)':>21}"]
    lines += [f"{name:{width}} {train:>7} {valid:>21}" for name, train, valid in rows]
    few, many = (chosen(names, key=lambda name: counts["train"][name]) for chosen in (min, max))
    if counts["train"][few] * FEW <= counts["train"][many]:
        lines.append(
            f"Note: {counts['train'][few]} images of {few} to train on, {counts['train'][many]} of "
            f"{many}: a network that never says {few} is right nearly always. Add some of {few}."
        )
    return lines


def _look(file: Path) -> bool | str:
    """Whether the tree needs a copy of a file, or why it is to be left out."""
    if file.exists() and not file.is_file():
        return f"{file} is no file, or a folder that is not looked into."
    try:
        return needs_copy(file)
    except CourseError as error:
        return str(error)


def _split(rows: list[Row]) -> list[Row]:
    """A share of each class becomes the part to test on, the same images every time."""
    split = []
    for _, group in groupby(rows, lambda row: row.name):
        members = list(group)
        number = max(1, round(TEST_SHARE * len(members)))
        drawn = set(random.Random(0).sample(members, number))
        split += [row._replace(part="valid" if row in drawn else "train") for row in members]
    return split


def _check_counts(counts: dict, address: str, reasons: list[str], share: float) -> None:
    """Raise CourseError where a class, or all together, has too few images for the course."""
    left_out = f" ({count(len(reasons), 'file')} left out, first: {reasons[0]})" if reasons else ""
    for name, train in counts["train"].items():
        test = counts["valid"][name]
        if train < FEWEST["train"] or test < FEWEST["valid"]:
            raise CourseError(
                f"The class {name!r} of {address[0].lower()}{address[1:]} has "
                f"{count(train, 'image')} to train on and {test} to test on{left_out}: add "
                f"some, to at least {FEWEST['train']} and {FEWEST['valid']}, or remove the class."
            )
    number, classes = sum(counts["train"].values()), len(counts["train"])
    if math.ceil(number * share) < classes:
        raise CourseError(
            f"{address} has {number} images of {classes} classes to train on{left_out}: too few "
            f"to set {share:.0%} aside to validate; have {math.ceil(1 / share)} or more of each."
        )


def _name_files(rows: list[Row], looks: dict[Path, bool]) -> Iterable[str]:
    """A name for each file which ImageFolder reads and no other of its class has."""
    used: set[tuple[str, str, str]] = set()
    for row in rows:
        stem, ending = row.file.stem, row.file.suffix
        new = ".png" if ending.lower() in LOSSLESS else ".jpg"
        if ending.lower() not in ENDINGS or looks[row.file] and ending.lower() != new:
            stem, ending = row.file.name, new
        while len(os.fsencode(f"{stem}-99999{ending}")) > LONGEST:
            stem = stem[:-1]
        name, number = stem + ending, 2
        while (row.part, row.name, name.casefold()) in used:
            name, number = f"{stem}-{number}{ending}", number + 1
        used.add((row.part, row.name, name.casefold()))
        yield name


def _place(links: tuple[Callable, ...], job: tuple[Path, bool, Path]) -> None:
    """Link a good file into the tree, or write a converted and smaller copy of another one."""
    file, is_copy, target = job
    if is_copy:
        image = read_image(file)
        longer = SHORTER_SIDE * max(image.size) / min(image.size)
        image.thumbnail((longer, longer))  # never to more pixels
        return image.save(target, quality=95)
    for link in links:
        try:
            return link(os.path.realpath(file), target)
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
