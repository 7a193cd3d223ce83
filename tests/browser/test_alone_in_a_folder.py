"""A notebook alone in an empty folder, as Colab opens it: it fetches the course, and all runs."""

import subprocess
from pathlib import Path

import nbformat
import pytest
from lab import strip_outputs
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from tools.notebooks import CELL_SECONDS, find_notebooks
from utils.settings import ROOT

STATE = "import pathlib, utils\nprint(pathlib.Path(utils.__file__).parent)"


def execute(path: Path) -> list[str]:
    """Run a notebook where it lies; what each code cell has printed. A failed cell raises."""
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", resources=place).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    streams = [[one for one in each if one.output_type == "stream"] for each in outputs]
    assert [one.text for each in streams for one in each if one.name == "stderr"] == []
    return ["".join(one.text for one in each) for each in streams]


def list_files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file, and when and how large it was written; Python's own caches do not count."""
    files = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


def test_a_notebook_fetches_the_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cloned is what is committed: a file that was forgotten is missing here, too."""
    origin, alone = tmp_path / "dogs-vs-cats.git", tmp_path / "content"
    subprocess.run(["git", "clone", "-q", "--bare", ROOT, origin], check=True)
    monkeypatch.setenv("COURSE_REPOSITORY", str(origin))
    monkeypatch.setenv("COURSE_PROFILE", "sample")
    monkeypatch.delenv("COURSE_HOME")
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # all packages are there: none is fetched
    alone.mkdir()
    (first, *_) = find_notebooks()
    notebook = alone / first.name
    notebook.write_bytes(first.read_bytes())
    strip_outputs(notebook)

    printed = execute(notebook)
    assert len(printed) > 20 and "✔" in "".join(printed)
    clone = alone / "course"
    assert sorted(path.name for path in alone.iterdir()) == [first.name, clone.name]
    assert list((clone / "data").glob("datasets/*"))  # its home, where nobody has chosen another

    origin.rename(tmp_path / "gone.git")
    again = nbformat.read(notebook, as_version=4)
    setup = next(cell for cell in again.cells if "COURSE_REPOSITORY" in cell.source)
    again.cells = [*(new_code_cell(source) for source in (setup.source, STATE) * 2)]
    nbformat.write(again, notebook)
    before = list_files(alone)
    settings, state, *repeated = execute(notebook)
    assert repeated == [settings, state]
    assert state.strip() == str(clone / "utils")
    assert list_files(alone) == before
