"""The setup cell in an empty folder, and moving the course to a fork."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from utils.errors import CourseError
from utils.notebook_setup import REPOSITORY, SETUP_CELL, set_repository
from utils.notebooks import find_notebooks
from utils.settings import ROOT


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A bare repository with a small course in it: no requirements, settings without torch."""
    source = tmp_path / "source"
    (source / "utils").mkdir(parents=True)
    (source / "requirements.txt").write_text("# nothing\n")
    (source / "utils" / "__init__.py").write_text("")
    settings = "def load_settings(profile):\n    print('ready', profile)\n"
    (source / "utils" / "settings.py").write_text(settings)
    bare = tmp_path / "course.git"
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "course"]):
        subprocess.run(["git", "-C", str(source), *command], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(source), str(bare)], check=True)
    return bare


def run_setup(folder: Path, origin: Path, before: str = "", after: str = "") -> str:
    """What the setup cell prints in a fresh interpreter in `folder`, or its error's last line."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", f"{before}\n{SETUP_CELL}\n{after}"]
    environment = os.environ | {"COURSE_REPOSITORY": str(origin)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return run.stdout if run.returncode == 0 else run.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_the_setup_cell_fetches_the_course_once(origin: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "colab"
    assert run_setup(elsewhere, origin) == "ready auto\n"
    clone = elsewhere / "course"
    stamp = (clone / ".git" / "HEAD").stat().st_mtime_ns
    origin.rename(tmp_path / "gone.git")
    # again, from a fresh kernel and then a second time in the same one: nothing is added
    twice = f"before = list(sys.path)\nexec({SETUP_CELL!r})\nassert sys.path == before"
    assert run_setup(elsewhere, origin, after=twice) == "ready auto\n" * 2
    assert run_setup(clone / "utils", origin) == "ready auto\n"  # below the root: found above
    assert (clone / ".git" / "HEAD").stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_a_setup_that_broke_off_begins_anew(origin: Path, tmp_path: Path) -> None:
    """With the clone in place and its packages missing, no later run would install them."""
    elsewhere, refusing = tmp_path / "colab", tmp_path / "pip"
    refusing.mkdir()
    (refusing / "pip.py").write_text("raise SystemExit('no network')")
    offline = f"import os\nos.environ['PYTHONPATH'] = {str(refusing)!r}"
    assert "CalledProcessError" in run_setup(elsewhere, origin, before=offline)
    assert not (elsewhere / "course").exists()
    origin.rename(tmp_path / "gone.git")  # what has been fetched is not fetched again
    assert run_setup(elsewhere, origin) == "ready auto\n"
    assert [path.name for path in elsewhere.iterdir()] == ["course"]


@pytest.mark.slow
def test_the_setup_cell_notices_another_utils(origin: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "colab"
    elsewhere.mkdir()
    (elsewhere / "utils.py").write_text("")
    assert run_setup(elsewhere, origin) == "ready auto\n"  # there, but the course comes first
    error = run_setup(elsewhere, origin, before="import utils")
    assert error.startswith("ImportError: Restart the kernel: another package named utils")


def test_the_setup_cell_fits_a_screen() -> None:
    assert len(SETUP_CELL.splitlines()) <= 20
    assert f'"https://github.com/{REPOSITORY}"' in SETUP_CELL


def copy_repository(folder: Path) -> Path:
    """The course's texts, without what git ignores, in a folder of their own."""
    ignored = shutil.ignore_patterns(".git", ".venv", "_build", "data", "__pycache__", ".*_cache")
    return Path(shutil.copytree(ROOT, folder / "copy", ignore=ignored))


def find_mentions(root: Path, text: str) -> set[str]:
    """The files below `root` that contain the text."""
    files = [path for path in root.rglob("*") if path.is_file()]
    found = [path for path in files if text.encode() in path.read_bytes()]
    return {path.relative_to(root).as_posix() for path in found}


def test_a_fork_is_set_everywhere_and_back(tmp_path: Path) -> None:
    copy = copy_repository(tmp_path)
    clone = "git clone https://github.com/{}.git\r\ncd {}\r\n"
    (copy / "NOTES.md").write_bytes(clone.format(REPOSITORY, REPOSITORY.split("/")[1]).encode())
    for name in ("utils/pages/new.css", "tests/browser/new.py", "notebooks/06_new.ipynb", "new.js"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(f"see https://github.com/{REPOSITORY}/issues\n")
    mentions = find_mentions(copy, REPOSITORY)
    notebooks = {f"notebooks/{path.name}" for path in find_notebooks()}
    assert {"README.md", "utils/notebook_setup.py", "NOTES.md"} | notebooks <= mentions
    before = {name: (copy / name).read_bytes() for name in mentions}

    changed = set_repository("ada/pets.course", copy)
    assert {path.as_posix() for path in changed} == mentions
    assert find_mentions(copy, REPOSITORY) == set()
    moved = clone.format("ada/pets.course", "pets.course").encode()
    assert (copy / "NOTES.md").read_bytes() == moved
    badges = f"github/ada/pets.course/blob/main/{sorted(notebooks)[0]}"
    assert badges in (copy / sorted(notebooks)[0]).read_text("utf-8")

    assert set_repository("ada/pets.course", copy) == []
    set_repository(REPOSITORY, copy)
    assert {name: (copy / name).read_bytes() for name in mentions} == before


def test_only_the_address_itself_moves(tmp_path: Path) -> None:
    constant = tmp_path / "utils" / "notebook_setup.py"
    constant.parent.mkdir()
    constant.write_text('REPOSITORY = "ada/pets"\n')
    others = "cdpets ada/pets-solved ada/petshop grada/pets abcd pets\n"
    (tmp_path / "README.md").write_text(f"{others}see ada/pets, (ada/pets/tree) cd pets\n")
    set_repository("bob/zoo", tmp_path)
    assert constant.read_text() == 'REPOSITORY = "bob/zoo"\n'
    moved = f"{others}see bob/zoo, (bob/zoo/tree) cd zoo\n"
    assert (tmp_path / "README.md").read_text() == moved


@pytest.mark.parametrize(
    "name", ["", "ada", "ada/", "/pets", "ada/pets/x", "https://host/ada/pets", "a b/c", "a/b.git"]
)
def test_a_repository_has_an_owner_and_a_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="give OWNER/NAME"):
        set_repository(name, tmp_path)
