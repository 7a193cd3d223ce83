"""Training states on disk: written whole, read by what they were made for, kept when damaged."""

import io
from pathlib import Path

import torch

from utils.files import write_atomically


def write_checkpoint(path: Path, identity: dict[str, str], content: dict) -> None:
    """Save `content` (tensors, numbers, lists, dicts of them) with what made it.

    The checkpoint before it stays beside it as `<name>.previous`, for the case that this one is
    damaged. Raises CourseError where the disk is full or may not be written to.
    """
    if path.is_file():
        path.replace(find_previous(path))
    write_atomically(path, lambda file: torch.save({"identity": identity, **content}, file))


def read_checkpoint(path: Path, identity: dict[str, str]) -> dict | None:
    """The newest state that can be read and was made by the same thing; None where there is none.

    A file that cannot be read, or was made by another network, dataset or setting, is put aside
    under another name, and a line says so. States of a GPU are read on a CPU, too.
    """
    for candidate in (path, find_previous(path)):
        if not candidate.is_file():
            continue
        try:
            # Read first, then parse: a file that is cut short fails in one place.
            data = io.BytesIO(candidate.read_bytes())
            saved = torch.load(data, map_location="cpu", weights_only=True)
            made_by = saved["identity"]
        except Exception as error:  # torch.load raises many kinds for damaged files
            aside = put_aside(candidate, "damaged")
            reason = type(error).__name__
            print(f"The checkpoint {candidate.name} is damaged ({reason}): kept as {aside.name}.")
            continue
        if made_by == identity:
            return saved
        differing = ", ".join(
            f"{name}: {made_by.get(name)} there, {identity.get(name)} here"
            for name in sorted(made_by.keys() | identity.keys())
            if made_by.get(name) != identity.get(name)
        )
        aside = put_aside(candidate, "other")
        print(
            f"The checkpoint {candidate.name} is of another training ({differing}): kept as "
            f"{aside.name}, and training starts from the beginning."
        )
    return None


def find_previous(path: Path) -> Path:
    return path.with_name(f"{path.name}.previous")


def put_aside(path: Path, reason: str) -> Path:
    """Rename the file so that it is neither used nor lost: `<name>.damaged`, or `<name>.other`."""
    aside = path.with_name(f"{path.name}.{reason}")
    path.replace(aside)
    return aside
