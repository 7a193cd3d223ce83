"""Controls, with whichever version of ipywidgets is installed: 7 (`make lowest`) is Colab's."""

import base64
import io

import ipywidgets
import pytest
from PIL import Image

from tools.widget_protocol import make_upload
from utils import widgets
from utils.plots import Drawing
from utils.settings import CourseError


@pytest.fixture
def shown(monkeypatch) -> list[tuple[ipywidgets.Widget, Drawing]]:
    """(box, first drawing) of every control that is displayed."""
    found = []
    monkeypatch.setattr(widgets, "show_box", lambda *given: found.append(given))
    return found


def draw(**values) -> Drawing:
    return Drawing(Image.new("RGB", (8, 8)), f"drawn with {values}")


def find_controls(box: ipywidgets.Widget) -> dict[str, ipywidgets.Widget]:
    """All controls inside a box by their names; what shows the answer is called "view"."""
    found = {}
    for child in box.children:
        if hasattr(child, "children"):
            found |= find_controls(child)
        else:
            found[getattr(child, "description", "") or "view"] = child
    return found


def test_controls_are_made_from_plain_values_and_redraw(shown):
    kinds = {"whole": (0, 9, 3), "share": (0.0, 1.0, 0.5), "stop": [1, 2, 5], "name": ["a", "b"]}
    widgets.explore(draw, **kinds, run={"custom CNN": "custom_cnn"}, draw_again="button")
    [(box, first)] = shown
    controls = find_controls(box)
    start = {"whole": 3, "share": 0.5, "stop": 1, "name": "a", "run": "custom_cnn"}
    assert first.description == f"drawn with { {**start, 'draw_again': 0} }"
    changes = {"whole": 7, "share": 0.25, "stop": 5, "name": "b"}
    for name, value in changes.items():
        controls[name].value = value
        assert f"{name}&#x27;: {value!r}".replace("'", "&#x27;") in controls["view"].value
    controls["draw again"].click()
    controls["draw again"].click()
    assert "draw_again&#x27;: 2" in controls["view"].value
    assert "run" in controls and "whole&#x27;: 7" in controls["view"].value


def test_an_error_is_said_where_the_image_was_and_the_control_goes_on(shown):
    def draw_small(size: int) -> Drawing:
        if size == 5:
            raise CourseError("Five is <too large>.")
        return draw(size=size if size < 5 else 1 / 0)

    widgets.explore(draw_small, size=(0, 9, 1))
    controls = find_controls(shown[0][0])
    controls["size"].value = 5
    assert controls["view"].value == "<p role='alert'>Five is &lt;too large&gt;.</p>"
    controls["size"].value = 6
    assert "ZeroDivisionError" in controls["view"].value
    controls["size"].value = 2
    assert controls["view"].value.startswith("<img")


def test_a_notebook_gets_the_control_and_an_image_of_its_first_state(monkeypatch):
    sent = []
    monkeypatch.setattr(widgets, "display", lambda data, **rest: sent.append((data, rest)))
    widgets.explore(draw, size=(0, 9, 1))
    [(data, rest)] = sent
    assert data[widgets.VIEW]["model_id"] and rest["raw"]
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size == (8, 8)
    assert rest["metadata"]["image/png"]["alt"] == data["text/plain"] == "drawn with {'size': 1}"


UPLOADS = {
    7: {"cat.jpg": {"metadata": {"name": "cat.jpg"}, "content": b"123"}},
    8: ({"name": "cat.jpg", "type": "", "size": 3, "content": memoryview(b"123")},),
}


class FakeUpload:
    def __init__(self, value) -> None:
        self.value = value


@pytest.mark.parametrize("major", UPLOADS)
def test_uploads_of_both_versions_are_read_alike(major):
    assert widgets.read_uploads(FakeUpload(UPLOADS[major])) == [("cat.jpg", b"123")]
    assert widgets.read_uploads(FakeUpload(type(UPLOADS[major])())) == []


def test_an_uploaded_image_is_judged_and_a_bad_one_named(shown, tmp_path):
    def judge(file: io.BytesIO) -> Drawing:
        if file.read() == b"bad":
            raise CourseError(f"{file.name} is no image.")
        return Drawing(Image.new("RGB", (8, 8)), f"judged {file.name}")

    widgets.upload_image(judge, draw())
    [(box, _)] = shown
    upload, hint, note, view = box.children
    assert "judge(&quot;path/to/image.jpg&quot;)" in hint.value

    def receive(name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        data, buffers = make_upload(upload.get_state(), tmp_path / name)
        message = {"content": {"data": data}, "buffers": [memoryview(each) for each in buffers]}
        upload._handle_msg(message)

    receive("cat.jpg", b"good")
    assert "judged cat.jpg" in view.value and "cat.jpg, 4 bytes" in note.value
    receive("odd.gif", b"bad")
    assert view.value == "<p role='alert'>odd.gif is no image.</p>"
