"""The control of notebook 03: a head for as many pictures as the slider says."""

from pathlib import Path

import ipywidgets
import numpy as np
import pytest
import torch

from utils import widgets_features
from utils.data import Split
from utils.features import Features
from utils.pictures import Pictures
from utils.plots_head import HIGH, WIDE
from utils.widgets_features import explore_few_pictures, list_stops, make_head_reporter

CLASSES = ("cats", "dogs", "parrots with very long names")


def make_part(name: str, each: int, classes: int, seed: int) -> tuple[Features, Pictures]:
    """Pictures of noise and features in which the classes lie in heaps."""
    generator = np.random.default_rng(seed)
    labels = np.arange(classes).repeat(each)
    array = generator.integers(0, 256, (len(labels), 32, 32, 3)).astype(np.uint8)
    paths = tuple(Path(f"{row}.png") for row in range(len(labels)))
    split = Split(name, paths, labels, CLASSES[:classes])
    values = np.eye(classes, 8)[labels] * 3 + generator.normal(size=(len(labels), 8))
    features = Features(
        torch.tensor(values).float(), torch.from_numpy(labels), CLASSES[:classes], name, 1.0
    )
    return features, Pictures(split, array, name)


@pytest.fixture(params=[2, 3])
def parts(request):
    return *make_part("train", 30, request.param, 0), *make_part("test", 20, request.param, 1)


def test_stops_end_with_the_smallest_class():
    features, _ = make_part("train", 30, 2, 0)
    assert list_stops(features) == [1, 2, 3, 4, 5, 7, 10, 15, 20, 30]
    assert list_stops(features.select(range(29, 60))) == [1]
    many = Features(torch.zeros(1200, 1), torch.arange(1200) % 2, ("a", "b"), "many", 1.0)
    assert list_stops(many)[-2:] == [300, 500]


def test_more_pictures_are_better(parts):
    report = make_head_reporter(*parts, {"guess": 0.5})
    accuracies = [float(report(count, 0).description.split("%")[0]) for count in (1, 30)]
    assert accuracies[0] <= accuracies[1] and accuracies[1] > 80


def test_every_stop_can_be_drawn_and_is_a_picture_of_one_size(parts):
    report = make_head_reporter(*parts, {"one": 0.5, "another one": 0.51, "a third": 0.99})
    drawings = [report(count, 0) for count in list_stops(parts[0])]
    assert {drawing.figure.size for drawing in drawings} == {(WIDE, HIGH)}
    number = len(parts[0].classes)
    assert f"learning from {30 * number} pictures" in drawings[-1].description
    assert "a third: 99.0%" in drawings[-1].description


def test_another_draw_has_other_pictures_and_the_same_one_is_kept(parts):
    report = make_head_reporter(*parts, {})
    assert report(2, 0) is report(2, 0)
    first, second = report(2, 0).figure, report(2, 1).figure
    assert first.tobytes() != second.tobytes()


def test_slider_and_button_change_the_picture(parts, monkeypatch):
    shown = []
    monkeypatch.setattr(widgets_features, "show_control", lambda *given: shown.append(given))
    explore_few_pictures(*parts, {"custom CNN": 0.7})
    [(box, first)] = shown
    (slider, button), view = box.children[0].children, box.children[1]
    assert isinstance(slider, ipywidgets.SelectionSlider) and slider.value == 10
    assert view.value == first.to_html()
    seen = {view.value}
    for stop in slider.options:
        slider.value = stop
        seen.add(view.value)
    assert len(seen) == len(slider.options)
    button.click()
    assert view.value not in seen and 'alt="' in view.value
