"""What notebook 02 shows of a network: shapes from hooks, figures, and controls that are moved."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from utils import widgets_network
from utils.activations import record_outputs
from utils.data import Split
from utils.models import CustomCNN
from utils.pictures import Pictures
from utils.plots_network import (
    draw_architecture,
    plot_learning_curve,
    plot_rates,
    plot_repeats,
    show_kernels,
    show_products,
)
from utils.training import History
from utils.weights import Preprocessing
from utils.widgets_network import draw_feature_maps, draw_filtered, filter_picture

PREPROCESSING = Preprocessing(256, 224, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
KERNELS = {
    "edges": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
    "copy": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
}
STAGES = [(32, 111, 111), (64, 54, 54), (128, 26, 26)]


@pytest.fixture(scope="module")
def model() -> CustomCNN:
    torch.manual_seed(0)
    return CustomCNN(2)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    array = np.random.default_rng(0).integers(0, 256, (3, 256, 256, 3), np.uint8)
    paths = tuple(Path(f"{row}.png") for row in range(3))
    return Pictures(Split("validation", paths, np.array([0, 1, 1]), ("a", "b")), array, "key")


@pytest.fixture
def shown(monkeypatch) -> list:
    """What a notebook would show: (control, first drawing) for each call."""
    calls = []
    monkeypatch.setattr(
        widgets_network, "show_control", lambda box, first: calls.append((box, first))
    )
    return calls


def find_widgets(box, kind: str) -> list:
    """All controls of a kind inside a box, from top to bottom."""
    found = [box] if type(box).__name__ == kind else []
    return found + [
        one for child in getattr(box, "children", ()) for one in find_widgets(child, kind)
    ]


def test_outputs_are_recorded_in_order(model):
    outputs = record_outputs(model, torch.zeros(2, 3, 224, 224))
    names = [name for name, _ in outputs]
    assert names == "conv1 pool conv2 pool conv3 pool hidden dropout output".split()
    assert [tuple(output.shape[1:]) for name, output in outputs if name == "pool"] == STAGES
    assert not any(layer._forward_hooks for layer in model.children())
    assert torch.equal(outputs[-1][1], model.eval()(torch.zeros(2, 3, 224, 224)))


def test_recorded_network_does_not_drop():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5)).train()
    outputs = dict(record_outputs(model, torch.ones(1, 1, 4, 4)))
    assert torch.equal(outputs["1"], torch.ones(1, 16))


def test_architecture_says_what_the_hooks_saw():
    model = nn.Sequential(nn.Conv2d(3, 5, 4, 2), nn.Conv2d(5, 7, 3), nn.Flatten(), nn.Linear(28, 4))
    outputs = record_outputs(model, torch.zeros(1, 3, 10, 10))
    layers = [("picture", (3, 10, 10))] + [(n, tuple(o.shape[1:])) for n, o in outputs]
    drawing = draw_architecture(layers, "Small")
    assert drawing.description == (
        "Small: picture 3 × 10 × 10, then 0 5 × 4 × 4, then 1 7 × 2 × 2, then 2 28, then 3 4"
    )
    texts = [text.get_text() for text in drawing.figure.axes[0].texts]
    assert texts[1] == "0\n5 × 4 × 4" and len(drawing.figure.axes[0].patches) == 3 * len(layers)
    boxes = [patch.get_xy()[:, 1].max() for patch in drawing.figure.axes[0].patches[::3]]
    assert boxes[0] > boxes[1] > boxes[2]  # lower boxes for smaller sides


def test_figures_say_what_they_show():
    grids = {"pixels": np.eye(3), "kernel": np.full((3, 3), 2.0), "products": 2 * np.eye(3)}
    drawing = show_products(np.zeros((9, 9)), (4, 5), grids)
    assert (
        "row 4, column 5" in drawing.description and "products: 2.00, 0.00" in drawing.description
    )
    assert drawing.figure.axes[0].patches[0].get_xy() == (4.5, 3.5)
    said = show_kernels(KERNELS, [np.zeros((7, 7))] * 2).description
    assert "edges: 1, 2, 1, 0" in said and "copy: 0, 0, 0, 0, 1" in said
    repeats = plot_repeats({"ours": [0.5] * 3, "theirs": [0.25, 0.75]}, "accuracy", percent=True)
    assert repeats.description == "accuracy: ours from 50.0% to 50.0%; theirs from 25.0% to 75.0%"
    for drawing in (show_products(np.zeros((9, 9)), (4, 5), grids), repeats):
        assert drawing.save()[:4] == b"\x89PNG"


def test_loss_beyond_the_figure_is_written_at_its_top():
    drawing = plot_rates({"low": [0.7, 0.7], "high": [33.0, 0.9]}, 0.69)
    axis = drawing.figure.axes[0]
    assert [text.get_text() for text in axis.texts] == ["↑ begins at 33.0"]
    assert axis.get_ylim() == (0, 1.38)
    assert "high from 33.00 to 0.90" in drawing.description


def test_extrapolation_is_drawn_apart_from_what_was_measured():
    points = [
        {"count": count, "accuracy": 0.6, "low": 0.5, "high": 0.7, "note": f"{count} s"}
        for count in (20, 60)
    ]
    line = (np.array([20, 60, 200]), np.array([0.5, 0.6, 0.7]), np.zeros(3), np.ones(3))
    drawing = plot_learning_curve(points, line)
    axis = drawing.figure.axes[0]
    labels = {line.get_label(): line for line in axis.lines}
    assert labels["fitted line"].get_xdata().tolist() == [20, 60]
    extrapolation = next(line for label, line in labels.items() if "extrapolation" in label)
    assert extrapolation.get_linestyle() == "--" and extrapolation.get_xdata().tolist() == [60, 200]
    assert "reaches 70.0% at 200" in drawing.description
    steeper = (line[0], np.array([0.5, 0.9, 1.3]), *line[2:])
    assert "reaches 100.0% at 60" in plot_learning_curve(points, steeper).description
    flat = (line[0], np.full(3, 1 + 1e-9), *line[2:])
    assert "reaches 100.0% at 20" in plot_learning_curve(points, flat).description


def test_picture_is_filtered():
    grey = torch.zeros(6, 6)
    grey[3:] = 0.25  # one edge, from top to bottom
    edges = filter_picture(grey, torch.tensor(KERNELS["edges"]).float())
    assert edges.tolist() == [[0] * 4, [1] * 4, [1] * 4, [0] * 4]  # 4 · 0.25, shown without sign
    copied = filter_picture(grey, torch.tensor(KERNELS["copy"]).float())
    assert torch.equal(copied, grey[1:-1, 1:-1])
    assert filter_picture(grey, torch.full((3, 3), 9.0)).max() == 1


def test_kernel_of_zeros_can_be_drawn():
    assert draw_filtered(torch.rand(8, 8), torch.zeros(3, 3)).save()


def test_filtered_picture_follows_the_sliders(shown):
    grey = torch.rand(20, 20, generator=torch.Generator().manual_seed(0))
    widgets_network.explore_kernel(grey, KERNELS)
    ((box, first),) = shown
    (choice,), (view,) = find_widgets(box, "Dropdown"), find_widgets(box, "HTML")
    sliders = find_widgets(box, "FloatSlider")
    assert [slider.value for slider in sliders] == [1, 2, 1, 0, 0, 0, -1, -2, -1]
    assert [slider.description for slider in sliders][:4] == [
        "row 1, column 1", "row 1, column 2", "row 1, column 3", "row 2, column 1",
    ]  # fmt: skip
    assert view.value == first.to_html() and "1.0, 2.0, 1.0; 0.0" in first.description
    sliders[4].value = 3.0
    moved = torch.tensor([[1, 2, 1], [0, 3, 0], [-1, -2, -1]]).float()
    assert view.value == draw_filtered(grey, moved).to_html()
    assert choice.value == "your own"


def test_preset_moves_all_sliders_and_draws_once(shown, monkeypatch):
    widgets_network.explore_kernel(torch.rand(20, 20), KERNELS)
    box = shown[0][0]
    choice, sliders = find_widgets(box, "Dropdown")[0], find_widgets(box, "FloatSlider")
    drawn = []
    monkeypatch.setattr(
        widgets_network,
        "draw_filtered",
        lambda grey, kernel: drawn.append(kernel.tolist()) or draw_filtered(grey, kernel),
    )
    choice.value = "copy"
    assert drawn == [KERNELS["copy"]] and choice.value == "copy"
    sliders[0].value = 1.5
    choice.value = "copy"  # the same one again, after a slider was moved
    assert [slider.value for slider in sliders] == [0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_feature_maps_follow_picture_and_stage(shown, model, pictures):
    widgets_network.explore_feature_maps(model, pictures, PREPROCESSING)
    ((box, first),) = shown
    picture, stage = find_widgets(box, "IntSlider")
    view = find_widgets(box, "HTML")[0]
    assert first.description == "Picture 0 and its 32 feature maps after stage 1"
    assert (picture.max, stage.min, stage.max) == (2, 1, 3)
    picture.value = 2
    stage.value = 3
    assert "Picture 2 and its 128 feature maps after stage 3" in view.value
    assert view.value == draw_feature_maps(model, pictures, 2, 3, PREPROCESSING).to_html()
    assert view.value != draw_feature_maps(model, pictures, 1, 3, PREPROCESSING).to_html()
    for number in (1, 2, 3):
        assert draw_feature_maps(model, pictures, 0, number, PREPROCESSING).figure.width <= 960


def test_maps_that_are_all_dark_can_be_drawn(pictures):
    dead = CustomCNN(2)
    nn.init.constant_(dead.conv1.bias, -100.0)
    drawing = draw_feature_maps(dead, pictures, 0, 1, PREPROCESSING)
    assert not np.asarray(drawing.figure)[:, 244:300].min()  # black beside the picture


def test_live_curves_are_drawn_into_one_figure(monkeypatch):
    displayed, updated = [], []

    class Handle:
        update = updated.append

    monkeypatch.setattr(
        widgets_network,
        "display",
        lambda drawing, display_id: displayed.append((drawing, display_id)) or Handle,
    )
    show = widgets_network.show_live_history("Live")
    assert len(displayed) == 1 and displayed[0][1] is True and not updated
    history = History()
    for epoch in (1, 2):
        history.append(
            train_loss=0.5, train_accuracy=0.5, validation_loss=0.5,
            validation_accuracy=epoch / 4, seconds=1.0,
        )  # fmt: skip
        before = asdict(history)
        show(history)
        assert asdict(history) == before
    assert [drawing.description for drawing in updated] == [
        "Live: run ends at validation accuracy 25.0%",
        "Live: run ends at validation accuracy 50.0%",
    ]
