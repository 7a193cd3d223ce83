"""Learning curves: drawn, kept, found again, and extrapolated."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from utils.curves import (
    draw_lines,
    find_count,
    find_curve,
    fit_line,
    format_seconds,
    save_curve,
    select_per_class,
)
from utils.data import Split
from utils.errors import CourseError
from utils.pictures import Pictures
from utils.runs import find_folder
from utils.settings import load_settings

LABELS = np.array([0] * 12 + [1] * 9 + [2] * 5)
PATHS = tuple(Path(f"{row}.png") for row in range(len(LABELS)))
TRAIN = Pictures(
    Split("train", PATHS, LABELS, ("birds", "cats", "dogs")),
    np.arange(len(LABELS), dtype=np.uint8)[:, None, None, None].repeat(3, axis=3),
    "key of the pictures",
)
CURVE = {"counts": [50, 100], "accuracies": [0.5, 0.75], "seconds": [1.5, 3.0]}


@pytest.fixture
def settings(tmp_path):
    return load_settings("sample", home=str(tmp_path))


def test_saved_curve_is_found_again(settings):
    assert find_curve(settings, "custom_cnn", TRAIN) is None
    save_curve(settings, "custom_cnn", TRAIN, **CURVE)
    assert find_curve(settings, "custom_cnn", TRAIN) == CURVE
    assert find_curve(settings, "frozen", TRAIN) is None
    numbers = {name: np.array(values) for name, values in CURVE.items()}
    save_curve(settings, "custom_cnn", TRAIN, **numbers)
    assert find_curve(settings, "custom_cnn", TRAIN) == CURVE


def test_curve_of_other_pictures_is_not_found(settings):
    save_curve(settings, "custom_cnn", TRAIN, **CURVE)
    assert find_curve(settings, "custom_cnn", replace(TRAIN, key="others")) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"pictures": "key of the pictures", "counts": [50]}',
        b'{"pictures": "key of the pictures", "counts": 5, "accuracies": 1, "seconds": 2}',
        b'{"pictures": "key of the pictures", "counts": [5], "accuracies": [], "seconds": [2]}',
    ],
)
def test_damaged_curve_is_no_curve(settings, content):
    save_curve(settings, "custom_cnn", TRAIN, **CURVE)
    (find_folder(settings, "custom_cnn") / "curve.json").write_bytes(content)
    assert find_curve(settings, "custom_cnn", TRAIN) is None


def test_as_many_pictures_of_each_class():
    few = select_per_class(TRAIN, 4)
    assert np.bincount(few.split.labels).tolist() == [4, 4, 4]
    assert few.split.labels.tolist() == LABELS[few.array[:, 0, 0, 0]].tolist()
    assert [path.stem for path in few.split.paths] == [str(row) for row in few.array[:, 0, 0, 0]]
    most = select_per_class(TRAIN, 7)
    assert np.bincount(most.split.labels).tolist() == [7, 7, 5]
    assert set(few.split.paths) < set(most.split.paths)
    assert few.key != most.key != TRAIN.key


def test_drawn_by_the_seed_alone():
    np.random.seed(1)
    first = select_per_class(TRAIN, 4, seed=3)
    np.random.seed(2)
    assert first.split.paths == select_per_class(TRAIN, 4, seed=3).split.paths
    assert first.split.paths != select_per_class(TRAIN, 4, seed=4).split.paths


def test_line_through_points_on_a_line():
    at_one, per_doubling = fit_line([8, 16, 64], [0.60, 0.65, 0.75])
    assert (at_one, per_doubling) == pytest.approx((0.45, 0.05))
    assert find_count((at_one, per_doubling), 0.70) == pytest.approx(32)


def test_line_between_points_that_scatter():
    at_one, per_doubling = fit_line([1, 1, 2, 2], [0.5, 0.6, 0.6, 0.9])
    assert (at_one, per_doubling) == pytest.approx((0.55, 0.20))


def test_line_that_does_not_rise_reaches_nothing():
    assert find_count((0.5, 0.0), 0.9) == math.inf
    assert find_count((0.5, -0.01), 0.9) == math.inf
    assert find_count((0.5, 1e-6), 0.9) == math.inf


@pytest.mark.parametrize("counts", [[], [5], [5, 5]])
def test_no_line_through_one_point(counts):
    with pytest.raises(CourseError, match="has no slope"):
        fit_line(counts, [0.5] * len(counts))


def test_drawn_lines_scatter_as_the_validation_set_allows():
    counts, accuracies = [20, 60, 180], [0.55, 0.65, 0.75]
    line = fit_line(counts, accuracies)
    few, many = (draw_lines(counts, accuracies, seen) for seen in (40, 4000))
    assert few.shape == (2000, 2)
    for lines in (few, many):
        assert lines.mean(axis=0) == pytest.approx(line, abs=0.03)
    assert few[:, 1].std() == pytest.approx(10 * many[:, 1].std(), rel=0.1)
    # a line's slope is a sum of its points with these weights, each of variance p (1 - p) / n
    places = np.log2(counts) - np.log2(counts).mean()
    weights = places / (places**2).sum()
    variances = np.multiply(accuracies, np.subtract(1, accuracies)) / 40
    assert few[:, 1].std() == pytest.approx(np.sqrt((weights**2 * variances).sum()), rel=0.1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.4, "2 s"), (89, "89 s"), (90, "1.5 minutes"), (7200, "2.0 hours"), (9e6, "2,500.0 hours")],
)
def test_seconds_in_words(seconds, text):
    assert format_seconds(seconds) == text
