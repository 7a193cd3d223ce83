"""Controls have names, and no figure says by colour alone what is what."""

import ast
from collections.abc import Callable

import numpy as np
import pytest
import torch

from utils import plots
from utils.drawings import Drawing
from utils.settings import ROOT
from utils.widgets import make_slider

WITHOUT_WORDS = {"HBox", "VBox", "HTML"}  # boxes, and what shows the answer


def find_nameless(source: str) -> list[int]:
    """Lines that make a control of ipywidgets without a description."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if ast.unparse(node.func.value) != "ipywidgets" or node.func.attr in WITHOUT_WORDS:
            continue
        words = [keyword.value for keyword in node.keywords if keyword.arg == "description"]
        if not words or (isinstance(words[0], ast.Constant) and not words[0].value):
            found.append(node.lineno)
    return found


def test_every_control_has_a_name() -> None:
    modules = sorted((ROOT / "utils").glob("widgets*.py"))
    assert len(modules) >= 5
    nameless = {path.name: find_nameless(path.read_text("utf-8")) for path in modules}
    assert not any(nameless.values()), nameless
    without = "ipywidgets.Button(icon='check')\nipywidgets.Text(description='')"
    assert find_nameless(without) == [1, 2]
    assert make_slider("rotation (°)", 1.0, 0.0, 2.0, 0.5, ".0f").description == "rotation (°)"


def make_history(runs: int) -> dict[str, dict[str, list[float]]]:
    names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    return {f"run {run}": {name: [0.5, 0.6] for name in names} for run in range(runs)}


def make_rows(runs: int) -> list[dict]:
    row = {"interval": (0.5, 0.9), "test_accuracy": 0.7}
    return [{"run": f"run {run}", "seconds": 1.0 + run, **row} for run in range(runs)]


FIGURES: dict[str, Callable[[], Drawing]] = {
    "counts": lambda: plots.plot_counts({part: dict(a=1, b=2, c=3) for part in ("one", "two")}),
    "history": lambda: plots.plot_history(make_history(3)),
    "comparison": lambda: plots.plot_comparison(make_rows(3)),
    "lines": lambda: plots.plot_lines({name: ((1, 2), (3, 4)) for name in "abc"}, "x", "y"),
    "sizes": lambda: plots.plot_sizes(np.full((6, 2), 9), np.arange(6) % 3, ("a", "b", "c")),
    "histograms": lambda: plots.plot_histograms({"one": torch.rand(3, 8, 8)}),
}  # fmt: skip


def list_signs(drawing: Drawing) -> list[tuple]:
    """How each labelled thing of the first axes is drawn, but for its colour."""
    axis = drawing.figure.axes[0]
    signs = []
    for handle in axis.get_legend_handles_labels()[0] or axis.containers:
        if hasattr(handle, "patches"):
            signs.append(("bar", handle.patches[0].get_hatch()))
        elif hasattr(handle, "get_paths"):
            signs.append(("points", handle.get_paths()[0].vertices.tobytes()))
        elif hasattr(handle, "get_hatch"):
            signs.append(("outline", handle.get_linestyle()))
        elif hasattr(handle, "lines"):  # an interval
            signs.append(("interval", handle.lines[0].get_marker()))
        else:
            signs.append(("line", handle.get_linestyle(), handle.get_marker()))
    return signs


@pytest.mark.parametrize("name", FIGURES)
def test_no_meaning_by_colour_alone(name: str) -> None:
    drawing = FIGURES[name]()
    signs = list_signs(drawing)
    assert len(signs) >= 3 and len(set(signs)) == len(signs), signs
    assert len(drawing.description) > 10 and drawing.save()


def test_what_a_mark_says_the_description_says() -> None:
    pictures = np.zeros((30, 4, 4, 3), np.uint8)
    drawn = plots.show_pictures(pictures[:2], ["cats 60%", "dogs 70%"], correct=[False, True])
    assert drawn.description == "Pictures (2 in 1 rows): cats 60% (wrong), dogs 70%"
    many = plots.show_pictures(pictures, ["cats", "dogs", "dogs"] * 10)
    assert many.description == "Pictures (30 in 4 rows): 10 cats, 20 dogs"
