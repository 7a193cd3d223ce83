"""Where the course lives: the repository's address, and the setup cell of every notebook."""

import re
from pathlib import Path

from utils.errors import CourseError

# The one place for the address: `python -m utils.notebooks set-repository OWNER/NAME` rewrites it,
# and every badge, setup cell and README line with it.
REPOSITORY = "transfer-learning-course/dogs-vs-cats"

# `python -m utils.notebooks update` writes this into each notebook's cell tagged `setup`.
# COURSE_REPOSITORY clones from elsewhere: a fork, a school's server, a bare repository on a stick.
SETUP_CELL = """\
import os
import sys
from pathlib import Path
from subprocess import check_call
address = "https://github.com/OWNER/NAME"
address = os.environ.get("COURSE_REPOSITORY") or address
places = [Path.cwd(), *Path.cwd().parents, Path.cwd() / Path(address).stem]
root = next((place for place in places if (place / "utils/settings.py").exists()), None)
if root is None:  # the course does not lie around this notebook (on Colab): fetch it, once
    root, part = places[-1], Path(f"{places[-1]}.part")  # its name until all is installed
    if not part.exists():
        check_call(["git", "clone", "-q", "--depth", "1", address, part])
    check_call([sys.executable, "-m", "pip", "install", "-q", "-r", part / "requirements.txt"])
    part.rename(root)
sys.path[:] = [str(root), *(path for path in sys.path if path != str(root))]
import utils
if Path(utils.__file__ or "").parent.resolve() != (root / "utils").resolve():
    raise ImportError(f"Restart the kernel: another package named utils came first, {utils}")
from utils.settings import load_settings
settings = load_settings(profile="auto")""".replace("OWNER/NAME", REPOSITORY)

SKIPPED_FOLDERS = {".git", ".venv", "_build", "data", "__pycache__", ".ruff_cache", ".pytest_cache"}
TEXT_SUFFIXES = {".cfg", ".css", ".ipynb", ".js", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}


def format_badge(notebook_name: str) -> str:
    """Markdown of the button that opens a notebook (its file name) of this repository in Colab."""
    place = f"{REPOSITORY}/blob/main/notebooks/{notebook_name}"
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open in Colab]({picture})](https://colab.research.google.com/github/{place})"


def set_repository(new: str, root: Path) -> list[Path]:
    """Points all files under `root` to the repository `new` (OWNER/NAME); returns those it changed.

    Raises CourseError where `new` is no GitHub repository's name.
    """
    if not re.fullmatch(r"[A-Za-z0-9](?:-?[A-Za-z0-9])*/(?!\.)[A-Za-z0-9._-]+(?<!\.git)", new):
        raise CourseError(
            f"{new!r} is not a repository's address: give OWNER/NAME as GitHub shows it, "
            "for example ada/dogs-vs-cats."
        )
    # From the file, not from this module: `root` may be another copy of the course.
    constant = root / "utils" / "notebook_setup.py"
    found = re.search(r'^REPOSITORY = "(.+)"$', constant.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise CourseError(f"{constant} has lost its line REPOSITORY = \"OWNER/NAME\": restore it.")
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
