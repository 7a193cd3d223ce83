"""What all tests of exercises share: the exercises out of the notebooks, and what check prints."""

import ast
import contextlib
import functools
import io
import re
from typing import NamedTuple

import nbformat

from utils import exercises
from utils.settings import ROOT

NOT_TRIED = "not tried yet"


class Exercise(NamedTuple):
    """An exercise as a notebook asks for it."""

    notebook: str
    number: str
    answer: str  # what its cell gives to `exercises.check`
    untouched: str  # the statements of its cell that define what the answer names


def judge(number: str, answer) -> str:
    """What `exercises.check` prints of an answer."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exercises.check(number, answer)
    return printed.getvalue().strip()


@functools.cache
def read_cells(notebook: str, kind: str) -> list[str]:
    """The sources of the cells of one kind."""
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", 4).cells
    return [cell.source for cell in cells if cell.cell_type == kind]


def list_exercises() -> list[Exercise]:
    """The exercises of all notebooks, in order."""
    found = []
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        for source in read_cells(path.stem, "code"):
            if "exercises.check(" not in source:
                continue
            *body, last = ast.parse(source).body
            number, answer = last.value.args
            asked = {node.id for node in ast.walk(answer) if isinstance(node, ast.Name)}
            own = [node for node in body if asked & list_defined(node)]
            untouched = ast.unparse(ast.Module(own, []))
            found.append(Exercise(path.stem, number.value, ast.unparse(answer), untouched))
    return found


def list_defined(statement: ast.stmt) -> set[str]:
    """The names that a definition or an assignment gives a value."""
    targets = [node for target in getattr(statement, "targets", []) for node in ast.walk(target)]
    named = {getattr(statement, "name", None)} | {getattr(node, "id", None) for node in targets}
    return named - {None}


def define_names(notebook: str, names: dict) -> None:
    """Add what a notebook imports, and the functions and classes that it types, to `names`."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    for source in read_cells(notebook, "code"):
        if "# @title Setup" not in source:  # has lines of IPython's, and loads the settings
            tree = ast.parse(source)
            tree.body = [node for node in tree.body if isinstance(node, kinds)]
            with contextlib.suppress(ModuleNotFoundError):  # 09 writes a module of its own
                exec(compile(tree, notebook, "exec"), names)


def find_solution(notebook: str, number: str) -> str:
    """The folded solution that follows an exercise's heading in a notebook."""
    after = "\n".join(read_cells(notebook, "markdown")).split(f"### Exercise {number} ", 1)[1]
    own = re.split(r"^### Exercise ", after, maxsplit=1, flags=re.MULTILINE)[0]
    return re.search(r"<summary>Solution</summary>\s*```python\n(.*?)```", own, re.DOTALL)[1]
