"""The notebooks as they are committed, and the harness that runs them, proved by breaking it."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from patience import HANG

from tools.hygiene import find_faults, find_prose_faults
from tools.notebooks import find_notebooks
from utils.settings import ROOT

NOTEBOOKS = find_notebooks()
PAGES = [ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.md"))]
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@by_name
def test_notebook_is_clean(path: Path) -> None:
    assert find_faults(path) == []


@by_name
def test_notebook_stands_in_the_table_of_the_readme(path: Path) -> None:
    rows = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if "|" in line]
    assert any(f"notebooks/{path.name}" in row for row in rows)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_of_the_pages_is_calm(page: Path) -> None:
    assert find_prose_faults(page.read_text("utf-8")) == []


# What a notebook teaches in full is imported from `utils` from then on. A cell tagged
# `same-as:utils.models.CustomCNN` defines that class as the module does: the syntax trees are
# equal once docstrings and type hints are gone (comments and layout are not in them anyway). Names,
# defaults and the order of statements all count.


def find_taught(path: Path) -> list[tuple[str, str]]:
    """(dotted path, source) of every cell tagged `same-as:…`."""
    return [
        (tag.removeprefix("same-as:"), cell.source)
        for cell in nbformat.read(path, as_version=4).cells
        for tag in cell.metadata.get("tags", [])
        if tag.startswith("same-as:")
    ]


def dump_definition(source: str, name: str) -> str:
    """The syntax tree, without docstrings, of the class or function `name` in `source`."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    body = ast.parse(source).body
    found = [node for node in body if isinstance(node, kinds) and node.name == name]
    assert len(found) == 1, f"{len(found)} definitions of {name}"
    for node in ast.walk(found[0]):
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.dump(found[0], indent=1)


TAUGHT = [(path, *taught) for path in NOTEBOOKS for taught in find_taught(path)]


@pytest.mark.parametrize(
    ("path", "dotted", "source"), TAUGHT, ids=[f"{path.stem}-{name}" for path, name, _ in TAUGHT]
)
def test_what_is_taught_is_what_is_used(path: Path, dotted: str, source: str) -> None:
    module, name = dotted.rsplit(".", 1)
    place = ROOT.joinpath(*module.split("."))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    assert dump_definition(source, name) == dump_definition(file.read_text("utf-8"), name)


def test_docstrings_hints_and_comments_alone_may_differ() -> None:
    taught = "class A:\n    # why\n    def f(self, x=1):\n        return x\n"
    used = taught.replace("# why", '"""Long."""').replace("return", '"""Doc."""\n        return')
    assert dump_definition(used, "A") == dump_definition(taught, "A")
    assert dump_definition(used.replace("x=1", "x: int = 1"), "A") == dump_definition(taught, "A")
    for old, new in (("x=1", "x=2"), ("x=1", "y=1"), ("return x", "return -x")):
        changed = taught.replace(old, new)
        assert dump_definition(used, "A") != dump_definition(changed, "A")


# nbval passes in silence where it compares nothing: so it is shown notebooks that must turn it red.


def read_nbval_options() -> list[str]:
    """The options `make test` gives to nbval."""
    text = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    return re.search(r"^NBVAL := (.+)$", text, re.MULTILINE)[1].split()


def run_nbval(folder: Path) -> tuple[int, dict[str, str]]:
    """nbval on a folder, exactly as `make test` calls it: exit code, last outcome per notebook."""
    command = [sys.executable, "-m", "pytest", "-rA", *read_nbval_options(), str(folder)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG)
    lines = re.findall(r"^([A-Z]+) .*?(\w+)\.ipynb::", run.stdout, re.MULTILINE)
    return run.returncode, {name: outcome for outcome, name in lines}


def make_checked(tags: list[str], source: str, text: str, count: int | None = 2) -> NotebookNode:
    """A tagged cell that, as stored, printed `text`, or raised it where tagged raises-exception."""
    output = new_output("stream", text=text)
    if "raises-exception" in tags:
        output = new_output("error", ename="ZeroDivisionError", evalue=text)
    return new_code_cell(
        source,
        metadata={"tags": [*tags, "nbval-check-output"]},
        outputs=[] if count is None else [output],
        execution_count=count,
    )


@pytest.mark.slow
def test_nbval_is_green_where_it_should_be(make_notebook: Callable[..., Path]) -> None:
    raises = ["raises-exception"]
    make_notebook("n = 26", make_checked([], "print(n, 'after 0.3 s')", "26 after 4.71 s\n"))
    make_notebook("n = 0", make_checked(raises, "1 / n", "division by zero"), name="02_raises")
    trap = make_notebook("n = 26", make_checked([], "print(n)", "27\n", None), name="03_trap")
    outcomes = {"01_made": "PASSED", "02_raises": "PASSED", "03_trap": "PASSED"}
    assert run_nbval(trap.parent) == (0, outcomes)
    # The third should have been red, but without a stored count nbval compares nothing: our guard
    assert any("nbval-check-output without a count" in fault for fault in find_faults(trap))


@pytest.mark.slow
def test_nbval_turns_red_on_a_corrupted_output(make_notebook: Callable[..., Path]) -> None:
    raises = ["raises-exception"]
    path = make_notebook("n = 26", make_checked([], "print(n)", "27\n"))
    make_notebook("n = 1", make_checked(raises, "1 / n", "division by zero"), name="02_silent")
    make_notebook("n = 1", "raise ValueError(n)", name="03_fails")
    outcomes = {"01_made": "FAILED", "02_silent": "FAILED", "03_fails": "FAILED"}
    assert run_nbval(path.parent) == (1, outcomes)
