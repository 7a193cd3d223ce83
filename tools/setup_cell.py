"""Where the course lives: the repository's address, the badges and every notebook's setup cell."""

import re
from pathlib import Path

from nbformat import NotebookNode

from utils.settings import CourseError

# The one place for the address: `python -m tools.notebooks set-repository OWNER/NAME` rewrites it,
# and every badge, setup cell and README line with it.
REPOSITORY = "transfer-learning-course/dogs-vs-cats"

# `python -m tools.notebooks update` writes this into each notebook's cell tagged `setup`.
# The course is there where its code lies in this folder or the one above, or where it was fetched
# into `course` and its packages installed. If not, git fetches it (COURSE_REPOSITORY: from a fork,
# a school's server, a bare repository on a stick), pip installs what is missing, and after both
# `ready` is written: what breaks off before is taken up the next time. `%pip` is this Python's pip.
SETUP_CELL = """\
# @title Setup: finds the course around this notebook, or fetches it once
import glob, os, sys

at = "https://github.com/OWNER/NAME"
if not any(map(glob.glob, ("utils/plots", "../utils/plots", "course/ready"))):
    !git clone {os.getenv("COURSE_REPOSITORY", at)} course
    %pip install -q -r course/requirements.txt && echo yes > course/ready
sys.path[:0] = map(os.path.abspath, glob.glob("course") + [".", ".."])
from utils.settings import load_settings

settings = load_settings(profile="auto")""".replace("OWNER/NAME", REPOSITORY)

SKIPPED_FOLDERS = {".git", ".venv", "_build", "data", "__pycache__", ".ruff_cache", ".pytest_cache"}
TEXT_SUFFIXES = {
    ".cff",
    ".cfg",
    ".css",
    ".ipynb",
    ".js",
    ".md",
    ".py",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
}


def write_setup_cell(notebook: NotebookNode) -> None:
    """Put the setup cell into the cell tagged `setup`, folded in JupyterLab and in Colab."""
    for cell in notebook.cells:
        if "setup" in cell.metadata.get("tags", []):
            cell.source = SETUP_CELL
            cell.metadata["cellView"] = "form"
            cell.metadata["jupyter"] = {"source_hidden": True}


def format_badges(notebook_name: str) -> str:
    """Markdown of the buttons that open a notebook (its file name) in Colab and on Kaggle."""
    place = f"{REPOSITORY}/blob/main/notebooks/{notebook_name}"
    colab = "https://colab.research.google.com"
    kaggle = "https://kaggle.com"
    return (
        f"[![Open in Colab]({colab}/assets/colab-badge.svg)]({colab}/github/{place})\n"
        f"[![Open in Kaggle]({kaggle}/static/images/open-in-kaggle.svg)]"
        f"({kaggle}/kernels/welcome?src=https://github.com/{place})"
    )


def set_repository(new: str, root: Path) -> list[Path]:
    """Point all files under `root` to the repository `new` (OWNER/NAME); the files it changed.

    Raises CourseError where `new` is no GitHub repository's name.
    """
    if not re.fullmatch(r"[A-Za-z0-9](?:-?[A-Za-z0-9])*/(?!\.)[A-Za-z0-9._-]+(?<!\.git)", new):
        raise CourseError(
            f"{new!r} is not a repository's address: give OWNER/NAME as GitHub shows it, "
            "for example ada/dogs-vs-cats."
        )
    # From the file, not from this module: `root` may be another copy of the course.
    constant = root / "tools" / "setup_cell.py"
    found = re.search(r'^REPOSITORY = "(.+)"$', constant.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise CourseError(f'{constant} has lost its line REPOSITORY = "OWNER/NAME": restore it.')
    old = found[1]
    patterns = {
        rf"(?<![\w.-]){re.escape(old)}(?![\w-])": new,
        rf"(?<=\bcd ){re.escape(old.split('/')[1])}(?![\w-])": new.split("/")[1],
    }
    changed = []
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.suffix not in TEXT_SUFFIXES or SKIPPED_FOLDERS & set(inside.parts):
            continue
        before = path.read_bytes().decode("utf-8")  # bytes: line endings stay as they are
        after = before
        for pattern, replacement in patterns.items():
            after = re.sub(pattern, replacement, after)
        if after != before:
            path.write_bytes(after.encode("utf-8"))
            changed.append(inside)
    return changed
