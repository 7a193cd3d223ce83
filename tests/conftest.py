"""What all tests share: a course of their own on disk, and slow tests after the fast ones."""

import os
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A fault in something small shows within seconds, not after the kernels have run."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the caller reaches a test, and no test writes into the repository's `data/`."""
    for name in [name for name in os.environ if name.startswith("COURSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "course-home"))


@pytest.fixture
def make_notebook(tmp_path: Path) -> Callable[..., Path]:
    """`make_notebook(cell, …)` writes a small notebook; a cell is nbformat's, or plain code."""

    def make(*cells: str | NotebookNode, name: str = "01_made") -> Path:
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        made = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        nbformat.write(new_notebook(cells=made), path)
        return path

    return make
