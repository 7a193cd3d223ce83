"""The setup cell in an empty folder, and moving the course to a fork."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.notebooks import find_notebooks
from tools.setup_cell import (
    REPOSITORY,
    SETUP_CELL,
    format_badges,
    set_repository,
    write_setup_cell,
)
from utils.settings import ROOT, CourseError

RUN_CELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
result = InteractiveShell.instance().run_cell(sys.argv[1])
sys.exit(0 if result.success else 1)
"""


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A bare repository with a small course in it: no requirements, settings without torch."""
    source = tmp_path / "source"
    (source / "utils" / "plots").mkdir(parents=True)
    (source / "utils" / "plots" / "__init__.py").write_text("")
    (source / "requirements.txt").write_text("# nothing\n")
    settings = "def load_settings(profile):\n    print('ready', profile)\n"
    (source / "utils" / "settings.py").write_text(settings)
    bare = tmp_path / "course.git"
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "course"]):
        subprocess.run(["git", "-C", str(source), *command], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(source), str(bare)], check=True)
    return bare


def run_setup(
    folder: Path, origin: Path, after: str = "", **variables: str
) -> tuple[bool, list[str]]:
    """Whether the setup cell succeeds in a fresh interpreter in `folder`, and what it prints."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", RUN_CELL, f"{SETUP_CELL}\n{after}"]
    environment = os.environ | {"COURSE_REPOSITORY": str(origin)} | variables
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return run.returncode == 0, run.stdout.splitlines()


@pytest.mark.slow
def test_the_setup_cell_fetches_the_course_once(origin: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "colab"
    succeeded, lines = run_setup(elsewhere, origin)
    assert succeeded and lines[-1] == "ready auto"
    assert [path.name for path in elsewhere.iterdir()] == ["course"]
    origin.rename(tmp_path / "gone.git")
    first = f"assert sys.path[0] == {str(elsewhere / 'course')!r}"
    assert run_setup(elsewhere, origin, after=first) == (True, ["ready auto"])


@pytest.mark.slow
@pytest.mark.parametrize("place", [".", "notebooks"])
def test_the_course_around_a_notebook_is_used_as_it_is(
    place: str, origin: Path, tmp_path: Path
) -> None:
    course = tmp_path / "mine"
    subprocess.run(["git", "clone", "-q", str(origin), str(course)], check=True)
    (course / "requirements.txt").write_text("no-such-package-at-all\n")  # nobody reads it
    (course / "notebooks").mkdir()
    before = sorted(path.name for path in course.iterdir())
    assert run_setup(course / place, tmp_path / "nowhere") == (True, ["ready auto"])
    assert sorted(path.name for path in course.iterdir()) == before
    assert list((course / "notebooks").iterdir()) == []


@pytest.mark.slow
def test_an_installation_that_broke_off_begins_anew(origin: Path, tmp_path: Path) -> None:
    """With the clone in place and its packages missing, a later run installs them."""
    elsewhere, refusing = tmp_path / "colab", tmp_path / "pip"
    refusing.mkdir()
    (refusing / "pip.py").write_text("raise SystemExit('no network')")
    _, lines = run_setup(elsewhere, origin, PYTHONPATH=str(refusing))
    assert "no network" in "".join(lines)
    assert not (elsewhere / "course" / "ready").exists()
    succeeded, lines = run_setup(elsewhere, origin)
    assert succeeded and lines[-1] == "ready auto"
    assert [path.name for path in elsewhere.iterdir()] == ["course"]
    assert run_setup(elsewhere, origin, PYTHONPATH=str(refusing)) == (True, ["ready auto"])


@pytest.mark.slow
def test_the_same_kernel_may_try_again(origin: Path, tmp_path: Path) -> None:
    """Python remembers that a folder on its path was not there; so none that is not goes on it."""
    again = f"import os\nos.environ['COURSE_REPOSITORY'] = {str(origin)!r}\n{SETUP_CELL}"
    elsewhere = tmp_path / "colab"
    elsewhere.mkdir()
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        f"assert not shell.run_cell({SETUP_CELL!r}).success\n"
        f"assert shell.run_cell({again!r}).success\n"
    )
    environment = os.environ | {"COURSE_REPOSITORY": str(tmp_path / "nowhere")}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_setup_cell_is_short() -> None:
    lines = list(filter(None, SETUP_CELL.splitlines()))  # the formatter wants two empty ones
    assert len(lines) <= 9 and max(map(len, lines)) <= 79
    assert lines[0].startswith("# @title ") and f'"https://github.com/{REPOSITORY}"' in SETUP_CELL


def test_the_setup_cell_is_written_where_it_belongs_and_folded() -> None:
    cells = [new_code_cell("old", metadata={"tags": ["setup"]}), new_code_cell("mine")]
    write_setup_cell(new_notebook(cells=cells))
    assert [cell.source for cell in cells] == [SETUP_CELL, "mine"]
    assert cells[0].metadata == {
        "tags": ["setup"],
        "cellView": "form",
        "jupyter": {"source_hidden": True},
    }


def test_badges_lead_to_the_notebook() -> None:
    badges = format_badges("01_made.ipynb")
    place = f"{REPOSITORY}/blob/main/notebooks/01_made.ipynb"
    assert f"(https://colab.research.google.com/github/{place})" in badges
    assert f"(https://kaggle.com/kernels/welcome?src=https://github.com/{place})" in badges


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
    for name in (
        "tools/publish/new.css",
        "tests/browser/new.py",
        "notebooks/10_new.ipynb",
        "new.js",
    ):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(f"see https://github.com/{REPOSITORY}/issues\n")
    mentions = find_mentions(copy, REPOSITORY)
    notebook = f"notebooks/{find_notebooks()[0].name}"
    assert {"README.md", "tools/setup_cell.py", "NOTES.md", notebook} <= mentions
    before = {name: (copy / name).read_bytes() for name in mentions}

    changed = set_repository("ada/pets.course", copy)
    assert {path.as_posix() for path in changed} == mentions
    assert find_mentions(copy, REPOSITORY) == set()
    moved = clone.format("ada/pets.course", "pets.course").encode()
    assert (copy / "NOTES.md").read_bytes() == moved
    badge = f"github/ada/pets.course/blob/main/{notebook}"
    assert badge in (copy / notebook).read_text("utf-8")

    assert set_repository("ada/pets.course", copy) == []
    set_repository(REPOSITORY, copy)
    assert {name: (copy / name).read_bytes() for name in mentions} == before


def test_only_the_address_itself_moves(tmp_path: Path) -> None:
    constant = tmp_path / "tools" / "setup_cell.py"
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
