"""Every rule a notebook can break."""

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.cleaning import WIDGET_VIEW, clean_notebook
from tools.hygiene import find_faults, find_imports, find_unsupported_numbers
from tools.setup_cell import SETUP_CELL, format_badges

CHECKED = ["nbval-check-output"]


def make_code(source: str, tags: list[str], *outputs: NotebookNode) -> NotebookNode:
    """A code cell with what it showed."""
    return new_code_cell(source, metadata={"tags": tags} if tags else {}, outputs=list(outputs))


def make_good_notebook() -> NotebookNode:
    """The shortest notebook that breaks no rule."""
    notebook = new_notebook(
        cells=[
            new_markdown_cell(f"# Look first\n\n{format_badges('01_made.ipynb')}\n\nA promise."),
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


def import_from(modules: str, *names: str) -> str:
    """Code that imports the names from each of these modules of utils."""
    wanted = "(\n" + ",\n".join(names) + ")"  # one a line: a line has 79 characters at most
    return "".join(f"from utils.{module} import {wanted}\n" for module in modules.split())


FAULTS: list[tuple[str, Callable[[NotebookNode], None]]] = [
    ("not 4.5", lambda notebook: notebook.update(nbformat_minor=4)),
    ("more than 1.5 MB", set_cell(4, outputs=show("x" * 1_500_000))),
    ("metadata of the notebook", lambda notebook: notebook.metadata.update(widgets={})),
    ("or two with the same", set_cell(4, id="cell-5")),
    ("not the outputs of one run", set_cell(4, execution_count=7)),
    ("1 cells tagged", set_tags(4)),
    ("median code cell", lambda notebook: notebook.cells.extend([new_code_cell("x\n" * 7)] * 9)),
    ("not a title with the badge", set_cell(0, source="# Look first")),
    ("not a title with the badge", set_cell(0, source=format_badges("01_made.ipynb"))),
    ("course's setup cell", set_cell(2, source=SETUP_CELL + "\n")),
    ("course's setup cell", set_tags(2)),
    ("no table", set_cell(1, source="You will, you need, time")),
    ("last three sections", set_cell(6, source="## Exercises\n\n## What you saw")),
    ("no cell has slide metadata", set_cell(9, metadata={})),
    ("exercises are numbered", set_cell(7, source='exercises.check("2.1", ...)')),
    ("the prose says 'Just'", set_cell(3, source="Just look.")),
    ("the prose says 'simply'", set_cell(3, source="Look, simply.")),
    ("the prose says '!'", set_cell(3, source="Look!")),
    ("without its </details>", set_cell(8, source="<details>Hint")),
    ("21 lines", set_cell(7, source="x = 1\n" * 21)),
    ("21 lines", set_cell(7, source="x = 1\n" * 21, metadata={"tags": ["lesson"]})),
    ("80 characters", set_cell(7, source="x" * 80)),
    ("formatter must skip", set_cell(7, source="x = 1  # fmt: skip")),
    ("46 code cells", lambda notebook: notebook.cells.extend([new_code_cell("x")] * 41)),
    (
        "11 rooms",
        set_cell(
            7,
            source=import_from("claims data models training features files", "x")
            + import_from("finetuning runs recipes predict download", "y"),
        ),
    ),
    ("24 names", set_cell(7, source=import_from("runs", *(f"name{n}" for n in range(24))))),
    ("'Notice' 4 times", set_cell(3, source="Notice this. Notice, Notice and Notice.")),
    ("image without a description", set_cell(3, source="![](a.png)")),
    (
        "shown without a description",
        set_cell(
            7, outputs=[new_output("display_data", {"image/png": "", "text/plain": "<Figure>"})]
        ),
    ),
    (
        "shows what 'It names 27.…' says of 27",
        set_cell(3, source="It names 27.", metadata={"tags": ["notice"]}),
    ),
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


def test_a_lesson_may_be_long(tmp_path: Path) -> None:
    notebook = make_good_notebook()
    lesson = {"source": "class Net:\n" + "    x = 1\n" * 30, "metadata": {"tags": ["lesson"]}}
    set_cell(7, **lesson)(notebook)
    assert find_faults(write(notebook, tmp_path)) == []


def test_an_elective_may_import_more(tmp_path: Path) -> None:
    notebook = make_good_notebook()
    set_cell(7, source=import_from("runs", *(f"name{n}" for n in range(15))))(notebook)
    set_cell(10, source=import_from("data", *(f"name{n}" for n in range(15))))(notebook)
    assert any("30 names" in fault for fault in find_faults(write(notebook, tmp_path)))
    path = write(notebook, tmp_path).rename(tmp_path / "06_made.ipynb")
    assert not any("names" in fault for fault in find_faults(path))


def test_names_behind_a_module_count() -> None:
    source = (
        "from utils import plots, exercises\n!ls\nplots.show(1)\nplots.show(2)\nexercises.check"
    )
    modules, names = find_imports([source, "from utils.runs import find_run\nx.y"])
    assert modules == {"utils.plots", "utils.exercises", "utils.runs"}
    assert names == {"utils.plots.show", "utils.exercises.check", "utils.runs.find_run"}


# -- every number of what to notice is shown


def notice(text: str, *shown: str, alt: str = "") -> list[str]:
    """What find_unsupported_numbers says of a line, after a cell that showed these texts."""
    figure = new_output("display_data", {"image/png": ""}, metadata={"image/png": {"alt": alt}})
    outputs = [*(new_output("stream", text=text) for text in shown), figure]
    cells = [
        new_markdown_cell("## One"),
        make_code("f()", [], *outputs),
        new_markdown_cell(text, metadata={"tags": ["notice"]}),
    ]
    return find_unsupported_numbers(new_notebook(cells=cells), '{"accuracy": "71.5 %"}')


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It names 97.3 % right.", "accuracy 97.3 %"),
        ("It names 97 % right, 1,000 in all.", "97.3 % of 1000"),
        ("About 2 in 3.", "2 of 3"),
        ("On photographs it is 71.5 %.", ""),
        ("`x = 5` in conv1 of resnet101, 3x3 and 7×7", "7 by 7"),
    ],
)
def test_numbers_that_are_shown(text: str, shown: str) -> None:
    assert notice(text, shown) == []


def test_numbers_of_alt_texts_are_shown() -> None:
    assert notice("From 60 to 85 %.", alt="Accuracy rises from 60.2 to 84.9 %.") == []


@pytest.mark.parametrize(
    ("text", "missing"), [("It names 98 %.", "98"), ("0.25, at 3,000 images", "3,000")]
)
def test_numbers_that_nothing_shows(text: str, missing: str) -> None:
    (fault,) = notice(text, "97.3 % of 1,000 at 0.25")
    assert fault.endswith(f"says of {missing}")


def test_another_section_shows_nothing() -> None:
    cells = [
        make_code("f()", [], new_output("stream", text="26")),
        new_markdown_cell("## Two"),
        new_markdown_cell("It is 26.", metadata={"tags": ["notice"]}),
    ]
    assert len(find_unsupported_numbers(new_notebook(cells=cells))) == 1
    assert find_unsupported_numbers(new_notebook(cells=[cells[1], cells[2], cells[0]])) == []
    untagged = [cells[1], new_markdown_cell("It is 26.")]
    assert find_unsupported_numbers(new_notebook(cells=untagged)) == []
