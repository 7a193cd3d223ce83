"""Seconds from a fresh process to notebook 01's first image, and through each setup cell."""

import ast
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from tools.benchmarks.runner import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))


def read_cells(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def show_first_image() -> Iterator[dict]:
    """Notebook 01 up to its first figure: once with nothing there (`first`), then again."""
    with tempfile.TemporaryDirectory() as home:
        first = run_cells(["image"], home)
        while True:
            yield {"seconds": run_cells(["image"], home), "first": first}


def run_setup_cells() -> Iterator[dict]:
    """The setup cell and all imports of each notebook, in a fresh process each."""
    while True:
        with tempfile.TemporaryDirectory() as home:
            seconds = {path.stem: run_cells(["setup", str(path)], home) for path in NOTEBOOKS}
            yield {"seconds": seconds}


def run_cells(arguments: list[str], home: str) -> float:
    command = [sys.executable, "-m", "tools.benchmarks.start_up", *arguments]
    environment = os.environ | {"COURSE_HOME": home, "IPYTHONDIR": home}
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def find_imports(cells: list[str]) -> str:
    """The import statements of these cells, but for modules that a notebook itself writes."""
    transform = TransformerManager().transform_cell
    lines = []
    for node in (node for cell in cells for node in ast.parse(transform(cell)).body):
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if modules and all(find_spec(module.split(".")[0]) for module in modules):
            lines.append(ast.unparse(node))
    return "\n".join(lines)


def main(what: str, notebook: str = str(NOTEBOOKS[0])) -> None:
    """In the fresh process: the cells as a kernel runs them, and the figure as an image file."""
    from IPython.core.interactiveshell import InteractiveShell

    cells, shell = read_cells(Path(notebook)), InteractiveShell.instance()
    first = next((n for n, cell in enumerate(cells) if "plots.show_images" in cell), 0)
    for cell in [cells[0], find_imports(cells[1:])] if what == "setup" else cells[: first + 1]:
        result = shell.run_cell(cell)
        result.raise_error()
    if what == "image":
        result.result.save()


if __name__ == "__main__":
    main(*sys.argv[1:])
