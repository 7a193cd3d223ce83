"""The controls of the notebooks: each shows a first state and follows its sliders."""

import math
from types import SimpleNamespace

import ipywidgets
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset
from typed import load_typed

from utils import plots, widgets
from utils.features import fit_head, select_per_class
from utils.plots import Drawing
from utils.widgets import data, features, inspection, network

CLASSES = ["cats", "dogs", "parrots with a very long name"]


@pytest.fixture
def shown(monkeypatch) -> list[tuple[ipywidgets.Widget, Drawing]]:
    found = []
    monkeypatch.setattr(widgets, "show_box", lambda *given: found.append(given))
    monkeypatch.setattr(inspection, "show_box", lambda *given: found.append(given))
    return found


def list_widgets(box: ipywidgets.Widget) -> list[ipywidgets.Widget]:
    children = getattr(box, "children", None)
    return [box] if children is None else [w for child in children for w in list_widgets(child)]


def find(box: ipywidgets.Widget, name: str) -> ipywidgets.Widget:
    """The control with this name; "" is what shows the answer, the last one without a name."""
    return [w for w in list_widgets(box) if getattr(w, "description", "") == name][-1]


def make_features(each: int, seed: int) -> tuple[TensorDataset, list[torch.Tensor]]:
    """Features in which the classes form clusters, and images of noise."""
    torch.manual_seed(seed)
    labels = torch.arange(3).repeat_interleave(each)
    values = 3 * torch.eye(3, 8)[labels] + torch.randn(len(labels), 8)
    return TensorDataset(values, labels), list(torch.rand(len(labels), 3, 16, 16))


def take_report(monkeypatch, **rest):
    """What the slider of few images draws with, and its stops."""
    taken = []
    monkeypatch.setattr(
        features, "explore", lambda draw, **controls: taken.append((draw, controls))
    )
    features.explore_few_images(*make_arguments(), **rest)
    [(report, controls)] = taken
    return report, controls["images_per_class"]


def make_arguments():
    train, images = make_features(30, 0)
    validation, new_images = make_features(20, 1)
    return train, validation, (images, new_images), CLASSES, {"chance": 1 / 3}


def test_stops_end_with_the_smallest_class(monkeypatch):
    assert take_report(monkeypatch)[1] == [1, 2, 3, 4, 5, 7, 10, 15, 20, 30]
    monkeypatch.setattr(features, "STOPS", (1, 2, 20))  # the most that feels like a slider
    assert take_report(monkeypatch)[1] == [1, 2, 20]


def test_more_images_are_better_and_each_report_says_its_numbers(monkeypatch):
    report, _ = take_report(monkeypatch)
    accuracies = [float(report(count).description.split(" %")[0]) for count in (1, 30)]
    assert accuracies[0] <= accuracies[1] and accuracies[1] > 80
    assert "with 30 images per class (95 % interval" in report(30).description
    assert "chance 33.3 %" in report(30).description and "with 1 image per" in report(1).description
    assert report(2, 0) is report(2, 0)
    assert report(2, 0).figure.tobytes() != report(2, 1).figure.tobytes()


def test_the_slider_begins_at_zero_where_there_is_a_head_to_start_from(shown):
    features.explore_few_images(*make_arguments(), start=nn.Linear(8, 3))
    [(box, first)] = shown
    slider = find(box, "images per class")
    assert slider.value == 0 and "with 0 images per class" in first.description
    seen = set()
    for stop in slider.options:
        slider.value = stop
        seen.add(find(box, "").value)
    assert len(seen) == len(slider.options) and first.to_html() in seen
    slider.value = 2
    find(box, "draw again").click()
    assert find(box, "").value not in seen and "alt=" in find(box, "").value


def test_a_head_is_held_near_the_one_to_start_from(shown):
    train, validation, *more = make_arguments()
    new_features, new_labels = validation.tensors
    start = nn.Linear(8, 3)
    with torch.no_grad():  # so sure of itself that one image per class changes little
        start.weight.copy_(100 * torch.randn(3, 8, generator=torch.Generator().manual_seed(1)))
    rows = select_per_class(train.tensors[1], 1, 0)
    few = TensorDataset(*(tensor[rows] for tensor in train.tensors))
    heads = fit_head(few, start=start), fit_head(few)
    held, zero = ((head(new_features).argmax(1) == new_labels).sum() for head in heads)
    assert held != zero
    features.explore_few_images(train, validation, *more, start=start)
    [(box, _)] = shown
    find(box, "images per class").value = 1
    assert f"{held} of {len(new_labels)})" in find(box, "").value


def test_a_kernel_follows_its_sliders_and_its_starting_points(shown):
    kernels = {"edges": [[1, 0, -1]] * 3, "nothing": [[0, 0, 0]] * 3}
    network.explore_kernel(torch.rand(12, 12), kernels)
    [(box, first)] = shown
    assert "the kernel 1.0, 0.0, -1.0; 1.0" in first.description
    find(box, "row 1, column 2").value = 2.5
    assert "1.0, 2.5, -1.0;" in find(box, "").value
    find(box, "start from").value = "nothing"
    assert "0.0, 0.0, 0.0; 0.0" in find(box, "").value


def test_maps_follow_the_image_and_the_layer(shown):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 20, 3))
    images = torch.rand(2, 3, 10, 10)
    names = {"torch": torch, "plots": plots, "images": images, "shown": images}
    names |= {"settings": SimpleNamespace(device="cpu")}
    names["places"] = {"first": (model, model[0]), "last": (model, model[2])}
    for name in ("record_outputs", "list_maps", "draw_maps"):
        names[name] = load_typed("06_inside_the_network", name, names)
    widgets.explore(names["draw_maps"], image=(0, 1, 0), layer=["first", "last"])
    [(box, first)] = shown
    assert first.description.startswith("first: maps of 8 × 8 (5): input, map ")
    find(box, "image").value = 1
    assert find(box, "").value != first.to_html() and "first: maps of" in find(box, "").value
    find(box, "layer").value = "last"
    assert "last: maps of 6 × 6 (8): input" in find(box, "").value
    assert not model[0]._forward_hooks and not model[2]._forward_hooks


def test_views_follow_the_settings_and_nothing_else(shown):
    images = list(torch.rand(3, 3, 300, 260))
    state = torch.random.get_rng_state()
    data.explore_augmentation(images)
    [(box, first)] = shown
    assert "rotation up to 15°" in first.description
    find(box, "rotation").value = 90
    turned = find(box, "").value
    assert "rotation up to 90°" in turned
    find(box, "rotation").value = 15
    assert find(box, "").value == first.to_html()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_mistakes_follow_the_run_and_the_confidence(shown):
    labels = torch.zeros(20, dtype=torch.long)
    unsure, certain = torch.tensor([[0.0, 1.0]] * 20), torch.tensor([[5.0, 0.0]] * 20)
    tests = {"custom_cnn": (unsure, labels), "frozen": (certain, labels)}
    inspection.explore_mistakes(tests, list(torch.rand(20, 3, 8, 8)), CLASSES[:2])
    [(box, first)] = shown
    assert "20 of 20 wrong and at least 50 % confident, 12 of them here" in first.description
    assert "dogs, 73 % true: cats" in first.description
    find(box, "lowest confidence").value = 0.9
    assert "0 of 20 wrong and at least 90 % confident" in find(box, "").value
    find(box, "run").value = "frozen"
    assert "0 of 20 wrong" in find(box, "").value


def test_labels_are_reviewed_in_memory(shown):
    probabilities = torch.tensor([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.3, 0.3, 0.4]])
    images = list(torch.rand(3, 3, 8, 8))
    decisions = inspection.review_labels(images, [0, 1, 2], probabilities, [0, 1, 2], CLASSES)
    [(box, first)] = shown
    assert "1 of 3" in first.description and "answer: dogs, 90 %" in first.description
    assert find(box, "it is").value == "dogs" and find(box, "Back").disabled and not decisions
    find(box, "Change the label").click()
    find(box, "Drop").click()
    find(box, "Back").click()
    assert "decided: drop" in find(box, "").value
    find(box, "Skip").click()
    find(box, "Keep").click()
    assert decisions == {0: "dogs", 1: "drop", 2: "keep"}
    assert find(box, "Keep").disabled and not find(box, "Back").disabled


def test_a_training_follows_its_peak_rate_and_its_warm_up(shown):
    train, _ = make_features(30, 0)
    validation, _ = make_features(20, 1)
    names = {"torch": torch, "nn": nn, "F": nn.functional, "math": math, "classes": CLASSES}
    names |= {"lr_scheduler": torch.optim.lr_scheduler, "features": train}
    names |= {"validation_features": validation}
    for name in ("draw_batches", "share_of_rate", "add_schedule", "draw_training"):
        names[name] = load_typed("07_the_craft_of_training", name, names)
    rates = [0.003, 0.03, 0.3]
    widgets.explore(names["draw_training"], peak_rate=rates, warm_up=(0.0, 0.5, 0.2))
    [(box, first)] = shown
    assert "Peak rate 0.003, warm-up 20%: the loss goes from" in first.description
    start = find(box, "").value  # matplotlib 3.8 draws the same figure differently the second time
    find(box, "peak rate").value = 0.3
    assert "Peak rate 0.3, warm-up 20%" in find(box, "").value
    find(box, "warm up").value = 0.0
    assert "warm-up 0%" in find(box, "").value
    find(box, "warm up").value, find(box, "peak rate").value = 0.2, 0.003
    assert find(box, "").value == start


def test_damage_follows_its_kind_and_strength(shown):
    asked = []

    def damage(images, kind, strength):
        asked.append((kind, strength))
        return images * (1 - strength / 4)

    names = {"watched": torch.rand(4, 3, 8, 8), "damage": damage, "names": CLASSES}
    names |= {"models": {"custom_cnn": 0, "frozen": 1}, "plots": plots}
    names["predict"] = lambda model, images: torch.eye(3)[[model] * len(images)] * 5
    show = load_typed("08_can_you_trust_it", "show_damage", names)
    widgets.explore(show, kind=["noise", "blur"], strength=(0, 3, 2))
    [(box, first)] = shown
    assert first.description.startswith(
        "noise, strength 2 of 3 (4): CNN: cats, 99 % backbone: dogs"
    )
    find(box, "kind").value = "blur"
    find(box, "strength").value = 0
    assert asked == [("noise", 2), ("blur", 2), ("blur", 0)]
    assert "blur, strength 0 of 3" in find(box, "").value
