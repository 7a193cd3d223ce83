"""Cleaning a notebook, and every rule a notebook can break."""

import base64
import copy
import io
import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from utils.errors import CourseError
from utils.notebook_cleaning import (
    KEPT_CELL_METADATA,
    NOTEBOOK_METADATA,
    WIDGET_VIEW,
    clean_notebook,
    read_notebook,
    write_setup_cell,
)
from utils.notebook_hygiene import find_faults
from utils.notebook_setup import SETUP_CELL, format_badge

CHECKED = ["nbval-check-output"]


def make_code(source: str, tags: list[str], *outputs: NotebookNode) -> NotebookNode:
    """A code cell with what it showed."""
    return new_code_cell(source, metadata={"tags": tags} if tags else {}, outputs=list(outputs))


def make_good_notebook() -> NotebookNode:
    """The shortest notebook that breaks no rule."""
    notebook = new_notebook(
        cells=[
            new_markdown_cell(f"# Look first\n\n{format_badge('01_made.ipynb')}\n\nA promise."),
            new_markdown_cell("| **You will** | look |\n|---|---|\n| You need | – |\n| Time | – |"),
            make_code(SETUP_CELL, ["setup"]),
            new_markdown_cell("## Part\n\n`just!` ![a](b!) $n!$ 95 % interval\n\n```\nx != 1\n```"),
            make_code("print(26)", CHECKED, new_output("stream", text="26\n")),
            make_code("25 + 1", CHECKED, new_output("execute_result", {"text/plain": "26"})),
            new_markdown_cell("## What you saw\n\n## Exercises"),
            make_code('exercises.check("1.1", ...)', []),
            new_markdown_cell("<details><summary>Hint</summary>\n\nLook.\n\n</details>"),
            new_markdown_cell("## Next", metadata={"slideshow": {"slide_type": "slide"}}),
            make_code("size = 26", []),
        ]
    )
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
    clean_notebook(notebook, {})
    return notebook


def write(notebook: NotebookNode, folder: Path) -> Path:
    """The notebook on disk, as it is: nbformat would mend some of what is wrong with it."""
    path = folder / "01_made.ipynb"
    path.write_text(json.dumps(notebook), "utf-8")
    return path


def test_a_good_notebook_has_no_fault(tmp_path: Path) -> None:
    assert find_faults(write(make_good_notebook(), tmp_path)) == []


def show(text: str) -> list[NotebookNode]:
    return [new_output("stream", text=text)]


def set_cell(index: int, **values: object) -> Callable[[NotebookNode], None]:
    """The change that sets something of one cell."""
    return lambda notebook: notebook.cells[index].update(nbformat.from_dict(values))


def set_tags(index: int, *tags: str) -> Callable[[NotebookNode], None]:
    return set_cell(index, metadata={"tags": list(tags)})


FAULTS: list[tuple[str, Callable[[NotebookNode], None]]] = [
    ("not 4.5", lambda notebook: notebook.update(nbformat_minor=4)),
    ("more than 1.5 MB", set_cell(4, outputs=show("x" * 1_500_000))),
    ("metadata of the notebook", lambda notebook: notebook.metadata.update(widgets={})),
    ("or two with the same", set_cell(4, id="cell-5")),
    ("not the outputs of one run", set_cell(4, execution_count=7)),
    ("1 cells tagged", set_tags(4)),
    ("median code cell", lambda notebook: notebook.cells.extend([new_code_cell("x\n" * 7)] * 9)),
    ("not a title with the badge", set_cell(0, source="# Look first")),
    ("not a title with the badge", set_cell(0, source=format_badge("01_made.ipynb"))),
    ("course's setup cell", set_cell(2, source=SETUP_CELL + "\n")),
    ("course's setup cell", set_tags(2)),
    ("no table", set_cell(1, source="You will, you need, time")),
    ("last three sections", set_cell(6, source="## Exercises\n\n## What you saw")),
    ("no cell has slide metadata", set_cell(9, metadata={})),
    ("exercises are numbered", set_cell(7, source='exercises.check("2.1", ...)')),
    ("the prose says 'Just'", set_cell(3, source="Just look.")),
    ("the prose says 'simply'", set_cell(3, source="Look, simply.")),
    ("the prose says '!'", set_cell(3, source="Look!")),
    ("compute it in a cell: 97.3 %", set_cell(3, source="It reaches 97.3 % here.")),
    ("without its </details>", set_cell(8, source="<details>Hint")),
    ("21 lines", set_cell(7, source="x = 1\n" * 21)),
    ("26 lines", set_cell(7, source="x = 1\n" * 26, metadata={"tags": ["lesson"]})),
    ("101 characters", set_cell(7, source="x" * 101)),
    ("metadata ['execution']", set_cell(7, metadata={"execution": {}})),
    ("kept from nbval", set_tags(7, "nbval-skip")),
    ("kept from nbval", set_cell(7, source="# NBVAL_IGNORE_OUTPUT")),
    ("nobody sees it not raise", set_tags(7, "raises-exception")),
    ("without a count and a text", set_cell(4, execution_count=None)),
    ("without a count and a text", set_cell(4, outputs=[])),
    ("nbval cannot compare", set_cell(4, source="clear_output()")),
    ("an error is shown", set_cell(7, outputs=[new_output("error", ename="E", evalue="e")])),
    ("stderr is shown", set_cell(7, outputs=[new_output("stream", name="stderr", text="w")])),
    ("live widget", set_cell(7, outputs=[new_output("display_data", {WIDGET_VIEW: {}})])),
    ("of a machine is shown: /home/ada/x", set_cell(7, outputs=show("in /home/ada/x"))),
    ("of a machine is shown: /opt/lib", set_cell(7, outputs=show('File "/opt/lib"'))),
    (r"of a machine is shown: C:\Users", set_cell(7, outputs=show(r"in C:\Users\ada"))),
]


@pytest.mark.parametrize(("fault", "change"), FAULTS, ids=[fault for fault, _ in FAULTS])
def test_every_rule_can_be_broken(
    fault: str, change: Callable[[NotebookNode], None], tmp_path: Path
) -> None:
    notebook = make_good_notebook()
    change(notebook)
    assert any(fault in found for found in find_faults(write(notebook, tmp_path)))


@pytest.mark.parametrize(
    "text", ["16.3 images/s, 1/2/3", "<td>a</td><br/>", "https://fast.ai/data/x", "and/or ~/x/y"]
)
def test_not_everything_with_a_slash_is_a_path(text: str, tmp_path: Path) -> None:
    notebook = make_good_notebook()
    set_cell(7, outputs=show(text))(notebook)
    assert find_faults(write(notebook, tmp_path)) == []


@pytest.mark.parametrize(
    ("index", "change"),
    [
        (7, {"source": "class Net:\n" + "    x = 1\n" * 30, "metadata": {"tags": ["lesson"]}}),
        (3, {"source": "The article has 84 %.", "metadata": {"tags": ["cited"]}}),
    ],
)
def test_tags_that_allow_more(index: int, change: dict, tmp_path: Path) -> None:
    notebook = make_good_notebook()
    set_cell(index, **change)(notebook)
    assert find_faults(write(notebook, tmp_path)) == []


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
        (" 10%|█ | 1/9\r 90%|██ | 8/9\rdone\n", "done\n"),
        ("1 of 2\r2 of 2\r\nnext", "2 of 2\nnext"),
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


def test_neighbouring_pieces_of_a_stream_are_one() -> None:
    pieces = [("stdout", "a\n"), ("stdout", "b\n"), ("stderr", "c\n"), ("stdout", "d\n")]
    outputs = clean(*[new_output("stream", name=name, text=text) for name, text in pieces]).outputs
    assert [output.text for output in outputs] == ["a\nb\n", "c\n", "d\n"]


@pytest.mark.parametrize(
    "text", ["IntSlider(value=3)", "HBox(children=(IntSlider(value=0),))", "40%|█  | 4/10 [00:01]"]
)
def test_a_widget_leaves_only_its_static_picture(text: str) -> None:
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
    """A picture as a careless program writes it: with its name, and `level` of compression."""
    file = io.BytesIO()
    picture = Image.effect_noise((60, 40), 20).convert("RGBA")
    picture.save(file, "png", compress_level=level)
    return base64.b64encode(file.getvalue()).decode()


def test_pictures_lose_bytes_but_no_pixel() -> None:
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
    path = write(raw, tmp_path)
    first = [cell.id for cell in read_notebook(path).cells]
    assert first[0] == "mine" and len(set(first)) == 3
    assert first == [cell.id for cell in read_notebook(path).cells]
    assert read_notebook(path).nbformat_minor == 5


def test_what_is_no_notebook_is_named(tmp_path: Path) -> None:
    path = tmp_path / "01_made.ipynb"
    path.write_text("<!DOCTYPE html>", "utf-8")
    with pytest.raises(CourseError, match=r"01_made\.ipynb is not a notebook"):
        read_notebook(path)


def test_the_setup_cell_is_written_where_it_belongs() -> None:
    cells = [new_code_cell("old", metadata={"tags": ["setup"]}), new_code_cell("mine")]
    write_setup_cell(new_notebook(cells=cells))
    assert [cell.source for cell in cells] == [SETUP_CELL, "mine"]
