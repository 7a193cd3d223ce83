"""Labels that a person corrected: a table anyone can read, respected whenever a network trains."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.errors import CourseError
from utils.files import write_atomically
from utils.settings import Settings
from utils.sources import find_source

COLUMNS = ("file", "decision", "label")
DECISIONS = ("keep", "relabel", "drop")


@dataclass(frozen=True)
class Correction:
    """What was decided about one training picture."""

    decision: str  # one of DECISIONS
    label: str = ""  # the new class, where the decision is "relabel"


def find_corrections_file(settings: Settings) -> Path:
    """Where this dataset's corrections are; they are of the pictures, whatever the backbone."""
    return settings.home / "corrections" / f"{find_source(settings.data).name}.csv"


def read_corrections(path: Path, classes: Sequence[str]) -> dict[str, Correction]:
    """Every decision by file (relative to the dataset, with forward slashes); {} without a table.

    Raises CourseError for a line that makes no sense, with its number.
    """
    if not path.is_file():
        return {}
    try:
        lines = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CourseError(
            f"{path} is no table of corrections ({error}): repair or delete it."
        ) from error
    found = {}
    for number, line in enumerate(lines, 1):
        if not line or tuple(line) == COLUMNS:
            continue
        file, decision, label = [*line, "", "", ""][:3]
        wanted = label in classes if decision == "relabel" else label == ""
        if len(line) > 3 or not file or decision not in DECISIONS or not wanted:
            raise CourseError(
                f"Line {number} of {path} is no correction: it needs a file, one of "
                f"{', '.join(DECISIONS)}, and for relabel one of the classes {', '.join(classes)}."
            )
        found[file] = Correction(decision, label)
    return found


def write_corrections(path: Path, corrections: dict[str, Correction]) -> None:
    """The whole table, sorted by file. Raises CourseError where it cannot be written."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for file, correction in sorted(corrections.items()):
        writer.writerow((file, correction.decision, correction.label))
    write_atomically(path, lambda stream: stream.write(text.getvalue().encode()))


def save_decision(path: Path, classes: Sequence[str], file: str, decision: Correction) -> None:
    """Add or replace one line of the table, which is read anew, so that nobody's line is lost."""
    write_corrections(path, read_corrections(path, classes) | {file: decision})


def name_files(paths: Sequence[Path], root: Path) -> list[str]:
    """The files as the table names them: `train/cats/cat.7.jpg`."""
    return [path.relative_to(root).as_posix() for path in paths]


def apply_corrections(
    files: Sequence[str],
    labels: np.ndarray,
    classes: Sequence[str],
    corrections: dict[str, Correction],
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows stay (int [M]), and their labels (int64 [M]).

    Raises CourseError where a class would be left without a picture.
    """
    labels, stays = np.array(labels), np.ones(len(labels), dtype=bool)
    for row, file in enumerate(files):
        correction = corrections.get(file, Correction("keep"))
        if correction.decision == "relabel":
            labels[row] = list(classes).index(correction.label)
        stays[row] = correction.decision != "drop"
    rows = np.flatnonzero(stays)
    for label, class_name in enumerate(classes):
        if label not in labels[rows]:
            raise CourseError(
                f"The corrections leave no training picture of {class_name!r}: "
                "take some of them back."
            )
    return rows, labels[rows]


def describe_corrections(
    files: Sequence[str], labels: np.ndarray, corrected: np.ndarray, rows: np.ndarray
) -> str:
    """`2 relabelled, 1 dropped` or the empty string: what applying corrections changed."""
    relabelled = int((np.asarray(labels)[rows] != corrected).sum())
    counts = {"relabelled": relabelled, "dropped": len(files) - len(rows)}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
