"""Functions as a notebook types them: tested where they stand, since nothing else has them."""

import ast
from pathlib import Path

import nbformat

from utils.settings import ROOT


def list_spine(path: Path) -> list[str]:
    """The cells of a notebook that are its spine."""
    cells = nbformat.read(path, 4).cells
    return [cell.source for cell in cells if "spine" in cell.metadata.get("tags", [])]


def load_typed(notebook: str, name: str, names: dict):
    """The function `name` that a cell of the notebook defines, run with `names` around it."""
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", 4).cells
    for cell in cells:
        if cell.cell_type == "code" and f"def {name}(" in cell.source:
            tree = ast.parse(cell.source)
            kinds = (ast.FunctionDef, ast.Import, ast.ImportFrom)
            tree.body = [node for node in tree.body if isinstance(node, kinds)]
            around = dict(names)
            exec(compile(tree, f"{notebook}, {name}", "exec"), around)
            return around[name]
    raise AssertionError(f"{notebook} defines no {name}")
