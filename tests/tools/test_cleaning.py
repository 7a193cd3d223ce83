"""An executed notebook made fit for committing."""

import base64
import copy
import io
import json
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from tools.cleaning import (
    KEPT_CELL_METADATA,
    NOTEBOOK_METADATA,
    WIDGET_VIEW,
    clean_notebook,
    read_notebook,
)
from utils.settings import CourseError


def clean(*outputs: NotebookNode, **metadata: object) -> NotebookNode:
    """A code cell after cleaning, on a machine with the course in /home/ada/course."""
    cell = new_code_cell("x", outputs=list(outputs), execution_count=41, metadata=metadata)
    notebook = new_notebook(cells=[new_code_cell(" "), cell])
    names = {Path("/home/ada/course"): "", Path("/home/ada"): "~", Path("/tmp/c-1"): "data"}
    clean_notebook(notebook, names)
    assert notebook.metadata == NOTEBOOK_METADATA
    assert notebook.cells[0].execution_count is None
    return cell


def test_counts_and_metadata() -> None:
    kept = {"tags": ["lesson"], "slideshow": {"slide_type": "slide"}}
    result = new_output("execute_result", {"text/plain": "1"}, execution_count=41)
    cell = clean(result, **kept, execution={"iopub.status.busy": "2026"}, collapsed=False)
    assert cell.metadata == kept and set(kept) <= KEPT_CELL_METADATA
    assert cell.execution_count == cell.outputs[0].execution_count == 1


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("home /tmp/c-1/runs, /tmp/c-1.", "home data/runs, data."),
        ("/home/ada/course/utils/a.py: /home/ada/course", "utils/a.py: ."),
        ("/home/ada/x /home/adam/x /mnt/home/ada", "~/x /home/adam/x /mnt/home/ada"),
    ],
)
def test_text_of_a_stream(text: str, left: str) -> None:
    assert clean(new_output("stream", text=text)).outputs[0].text == left


def test_paths_in_errors_and_tables() -> None:
    error = new_output("error", ename="E", evalue="no /tmp/c-1/x", traceback=["/tmp/c-1/x"])
    table = new_output("display_data", {"text/html": "<b>/tmp/c-1/x</b>"})
    error, table = clean(error, table).outputs
    assert (error.evalue, error.traceback) == ("no data/x", ["data/x"])
    assert table.data["text/html"] == "<b>data/x</b>"


@pytest.mark.parametrize(
    "text", ["IntSlider(value=3)", "HBox(children=(IntSlider(value=0),))", "40%|█  | 4/10 [00:01]"]
)
def test_a_widget_leaves_only_its_static_image(text: str) -> None:
    live = {WIDGET_VIEW: {"model_id": "1"}, "text/plain": text}
    picture = make_png(0)
    alone, pictured = new_output("display_data", live), new_output("display_data", live)
    pictured.data["image/png"] = picture
    outputs = clean(alone, pictured, new_output("display_data", {"text/plain": text})).outputs
    assert [set(output.data) for output in outputs] == [{"image/png"}, {"text/plain"}]


def test_a_widgets_own_words_stay() -> None:
    live = {WIDGET_VIEW: {"model_id": "1"}, "text/plain": "Move the slider to rotate."}
    assert set(clean(new_output("display_data", live)).outputs[0].data) == {"text/plain"}


def make_png(level: int) -> str:
    """An image as a careless program writes it: with its name, and `level` of compression."""
    file = io.BytesIO()
    picture = Image.effect_noise((60, 40), 20).convert("RGBA")
    picture.save(file, "png", compress_level=level)
    return base64.b64encode(file.getvalue()).decode()


def test_images_lose_bytes_but_no_pixel() -> None:
    before = make_png(0)
    cell = clean(new_output("display_data", {"image/png": before}))
    after = cell.outputs[0].data["image/png"]
    assert len(after) < len(before)
    pixels = [Image.open(io.BytesIO(base64.b64decode(png))) for png in (before, after)]
    assert pixels[0].tobytes() == pixels[1].tobytes() and pixels[0].mode == pixels[1].mode


def test_ids_are_kept_unique_and_the_same_each_time(tmp_path: Path) -> None:
    notebook = new_notebook(cells=[new_code_cell("x"), new_code_cell("x"), new_code_cell("x")])
    for cell, name in zip(notebook.cells, ("mine", "mine", None), strict=True):
        cell.id = name
    raw = copy.deepcopy(notebook)
    del raw.cells[2]["id"]
    raw.nbformat_minor = 4
    path = tmp_path / "01_made.ipynb"
    path.write_text(json.dumps(raw), "utf-8")
    first = [cell.id for cell in read_notebook(path).cells]
    assert first[0] == "mine" and len(set(first)) == 3
    assert first == [cell.id for cell in read_notebook(path).cells]
    assert read_notebook(path).nbformat_minor == 5


def test_what_is_no_notebook_is_named(tmp_path: Path) -> None:
    path = tmp_path / "01_made.ipynb"
    path.write_text("<!DOCTYPE html>", "utf-8")
    with pytest.raises(CourseError, match=r"01_made\.ipynb is not a notebook"):
        read_notebook(path)
