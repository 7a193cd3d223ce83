"""Figures of notebook 03: each can be saved, and says in words what it shows."""

import numpy as np
import pytest

from utils import plots_features
from utils.plots_blocks import draw_blocks

ROWS = [
    {"run": name, "test_accuracy": accuracy, "interval": [accuracy - 0.1, accuracy + 0.01],
     "seconds": seconds, "trainable_parameters": size}
    for name, accuracy, seconds, size in (("custom_cnn", 0.7, 20.5, 11_000_000),
                                          ("frozen", 0.99, 1.6, 2562))
]  # fmt: skip


def make_drawings() -> dict:
    points = np.random.default_rng(0).normal(size=(30, 2))
    labels = np.arange(30) % 3
    picture = np.zeros((8, 8, 3), np.uint8)
    return {
        "guesses": (
            plots_features.plot_guesses([picture] * 2, [[("tabby", 0.6), ("pug", 0.1)]] * 2),
            "tabby 60%",
        ),
        "accuracies": (
            plots_features.plot_accuracies({"all right": (1.0, 0.9, 1.0)}), "all right 100.0%"
        ),
        "drift": (plots_features.plot_drift({"train": [0.1, 0.4]}), "between 0.10 and 0.40"),
        "agreement": (
            plots_features.plot_agreement(
                np.arange(4.0), np.arange(4) + 0.25, np.arange(4) % 2, ("a", "b")
            ),
            "at most 0.250",
        ),
        "maps": (
            plots_features.plot_maps(
                {"pixels": {"PCA": points, "t-SNE": points}}, labels, ("a", "b", "c"),
                {"pixels": "same: 40%"},
            ),
            "same: 40%",
        ),
        "few": (
            plots_features.plot_few_pictures(
                {"head": ([1, 10], [0.6, 0.9], [0.5, 0.8], [0.7, 0.95]), "cnn": ([10], [0.7])},
                {"ImageNet": 0.88},
            ),
            "ImageNet 88%",
        ),
        "runs": (plots_features.plot_runs(ROWS, {"ImageNet": (0.9, 0.8, 0.95)}), "99.0%"),
        "runs alone": (plots_features.plot_runs(ROWS, {}), "2,562"),
        "blocks": (draw_blocks(), "added"),
    }  # fmt: skip


@pytest.mark.parametrize("name", make_drawings())
def test_drawing_is_a_picture_with_words(name):
    drawing, words = make_drawings()[name]
    assert words in drawing.description
    assert len(drawing.save()) > 1000
    assert drawing.figure.get_figwidth() <= 9


def test_classes_differ_in_more_than_colour():
    markers = {plots_features.marker_of(number) for number in range(8)}
    assert len(markers) == 8
