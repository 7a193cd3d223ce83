"""The controls and figures of notebook 05, worked without a browser."""

import io
from datetime import datetime
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image

from utils import plots_inspection, widgets_inspection
from utils.calibration import bin_confidence
from utils.corrections import Correction, read_corrections
from utils.data import Split
from utils.drawings import Drawing
from utils.errors import CourseError
from utils.pictures import Pictures
from utils.training import Evaluation
from utils.widgets_inspection import draw_mistakes, explore_mistakes, review_labels, upload_photo

CLASSES = ("cats", "dogs", "newts")
LABELS = torch.arange(9) % 3


@pytest.fixture
def shown(monkeypatch) -> list:
    """What would be displayed: (control, first drawing)."""
    found = []
    monkeypatch.setattr(
        widgets_inspection, "show_control", lambda box, first: found.append((box, first))
    )
    return found


def make_pictures() -> Pictures:
    array = np.zeros((9, 16, 16, 3), np.uint8)
    paths = tuple(Path(f"{row}.png") for row in range(9))
    return Pictures(Split("train", paths, LABELS.numpy(), CLASSES), array, "key")


def make_evaluation(mistakes: dict[int, float]) -> Evaluation:
    """Right but for some rows, which are sure of the next class by so much."""
    probabilities = torch.full((9, 3), 0.01)
    probabilities[torch.arange(9), LABELS] = 0.98
    for row, sure in mistakes.items():
        probabilities[row] = (1 - sure) / 2
        probabilities[row, (LABELS[row] + 1) % 3] = sure
    return Evaluation(probabilities.log(), LABELS)


def find_widgets(box: ipywidgets.Widget, kind: type) -> list:
    inside = [
        widget for child in getattr(box, "children", ()) for widget in find_widgets(child, kind)
    ]
    return [*([box] if isinstance(box, kind) else []), *inside]


def click(box: ipywidgets.Widget, text: str) -> None:
    (button,) = [b for b in find_widgets(box, ipywidgets.Button) if b.description == text]
    assert not button.disabled
    button.click()


def test_gallery_of_mistakes():
    evaluation = make_evaluation({0: 0.9, 4: 0.6, 5: 0.97})
    drawing = draw_mistakes(evaluation, make_pictures(), 0.5)
    assert drawing.description.startswith("3 of 3 mistakes that are at least 50% sure: cats 97% is")
    assert draw_mistakes(evaluation, make_pictures(), 0.95).description.startswith("1 of 1")
    nothing = draw_mistakes(make_evaluation({}), make_pictures())
    assert "none" in nothing.description and nothing.save()


def test_gallery_follows_its_controls(shown):
    runs = {"frozen": make_evaluation({0: 0.9}), "other": make_evaluation({3: 0.7, 4: 0.8})}
    explore_mistakes(runs, make_pictures())
    box, first = shown[0]
    note, _ = find_widgets(box, ipywidgets.HTML)
    assert first.description.startswith("1 of 1") and note.value.startswith("1 of 1")
    find_widgets(box, ipywidgets.Dropdown)[0].value = "other"
    assert note.value.startswith("2 of 2")
    find_widgets(box, ipywidgets.FloatSlider)[0].value = 0.75
    assert note.value.startswith("1 of 1")


def test_review_writes_each_decision_at_once(shown, tmp_path):
    table, files = tmp_path / "c" / "made.csv", [f"train/{row}.png" for row in range(9)]
    probabilities = make_evaluation({2: 0.9, 5: 0.8, 7: 0.6}).logits.softmax(dim=1)
    review_labels(make_pictures(), [2, 5, 7], probabilities, files, table)
    box, first = shown[0]
    note = find_widgets(box, ipywidgets.HTML)[0]
    assert first.description == "labelled newts; a head trained without it says cats, 90%"
    assert not table.exists()  # looking decides nothing
    click(box, "Relabel")
    assert read_corrections(table, CLASSES) == {"train/2.png": Correction("relabel", "cats")}
    assert "2 of 3" in note.value
    click(box, "Drop the picture")
    click(box, "Back")
    assert "decided: drop" in note.value
    click(box, "Keep the label")
    click(box, "Skip")
    assert "seen them all" in note.value
    assert all(b.disabled for b in find_widgets(box, ipywidgets.Button) if b.description != "Back")
    assert read_corrections(table, CLASSES) == {
        "train/2.png": Correction("relabel", "cats"),
        "train/5.png": Correction("keep"),
    }


def test_review_says_what_went_wrong(shown, tmp_path, monkeypatch):
    def fail(*arguments):
        raise CourseError("The disk is <full>.")

    monkeypatch.setattr(widgets_inspection, "save_decision", fail)
    probabilities = make_evaluation({}).logits.softmax(dim=1)
    files = [f"{row}.png" for row in range(9)]
    review_labels(make_pictures(), [0, 1], probabilities, files, tmp_path / "made.csv")
    box, _ = shown[0]
    click(box, "Keep the label")
    note = find_widgets(box, ipywidgets.HTML)[0]
    assert "The disk is &lt;full&gt;." in note.value
    click(box, "Skip")
    assert "2 of 2" in note.value


def test_upload_shows_the_answer_or_one_sentence(shown):
    seen = []

    def judge(file: io.BytesIO) -> Drawing:
        seen.append((file.name, file.read()))
        if file.name.endswith(".txt"):
            raise CourseError("This is <no> picture.")
        return Drawing(Image.new("RGB", (4, 4)), "a cat")

    upload_photo(judge, Drawing(Image.new("RGB", (4, 4)), "first"))
    upload, hint, note, view = shown[0][0].children
    assert "judge(" in hint.value and "a picture of the course" in note.value
    for name, expected in (("a.jpg", 'alt="a cat"'), ("b.txt", "This is &lt;no&gt; picture.")):
        file = {"name": name, "type": "", "size": 1, "content": memoryview(b"x")}
        upload.value = ({**file, "last_modified": datetime.now()},)
        assert expected in view.value and f"{name}, 1 bytes" in note.value
    assert seen == [("a.jpg", b"x"), ("b.txt", b"x")]


@pytest.mark.parametrize("count", [2, 7])
def test_figures_fit_a_projector_for_any_number_of_classes(count):
    classes = tuple(f"class {k}" for k in range(count))
    tables = dict.fromkeys(("custom_cnn", "frozen", "unfrozen"), np.eye(count, dtype=int))
    line = (np.array([0, 0.5, 1]), np.array([0, 1, 1]), 0.75)
    roc = {name: {"frozen": line} for name in classes}
    bins = bin_confidence(np.array([0.5, 0.7]), np.array([True, False]))
    levels = (["as is", "1"], [1.0, 0.5], [0.8, 0.3], [1.0, 0.7])
    row = {"run": "frozen", "test_accuracy": 0.9, "interval": [0.8, 0.95]}
    image, even = np.zeros((32, 32, 3), np.uint8), torch.full((count,), 1 / count)
    damages = {kind: {"frozen": levels} for kind in "abcdef"}
    drawings = [
        plots_inspection.plot_confusions(tables, classes),
        plots_inspection.plot_roc(roc),
        plots_inspection.plot_reliability({"frozen": {"as trained": bins, "after": bins}}),
        plots_inspection.plot_robustness(damages, dict.fromkeys("abcdef", "unit")),
        plots_inspection.plot_intervals([row, row]),
        plots_inspection.plot_similarity({"trained": np.ones(3), "head": np.zeros(3)}),
        plots_inspection.plot_distances({"a": torch.rand(5), "b": torch.rand(3)}, 0.5),
        plots_inspection.draw_judgement(image, image, even, classes, "a sentence"),
    ]  # fmt: skip
    for drawing in drawings:
        wide, _ = Image.open(io.BytesIO(drawing.save())).size
        assert wide <= 980 and drawing.description
