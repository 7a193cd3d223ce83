"""Confidence, its error, and the temperature that repairs it."""

import math

import numpy as np
import pytest
import torch

from utils.calibration import (
    bin_confidence,
    find_calibration,
    find_confidence,
    fit_temperature,
    measure_calibration_error,
    save_calibration,
    simulate_calibration_error,
)
from utils.runs import find_folder
from utils.settings import load_settings
from utils.training import Evaluation


def make_evaluation(count: int, factor: float, classes: int = 2, seed: int = 0) -> Evaluation:
    """Labels drawn from the softmax of logits, which are then multiplied by `factor`."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, classes, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return Evaluation(logits * factor, labels)


def test_error_by_hand():
    confidence = np.array([0.55] * 8 + [0.95] * 2)
    correct = np.array([True] * 6 + [False] * 2 + [True, False])
    assert measure_calibration_error(confidence, correct) == pytest.approx(0.8 * 0.2 + 0.2 * 0.45)
    binned = bin_confidence(confidence, correct)
    assert binned["count"].tolist() == [8, 2]
    assert binned["low"].tolist() == [0.5, 0.9]
    assert binned["accuracy"].tolist() == [0.75, 0.5]


def test_certainty_and_edges_have_a_bin():
    confidence = np.array([1.0, 0.0, 0.5])
    binned = bin_confidence(confidence, np.array([True, False, True]))
    assert binned["count"].tolist() == [1, 1, 1] and binned["low"].tolist() == [0.0, 0.4, 0.9]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_temperature_finds_the_factor(classes, factor):
    evaluation = make_evaluation(4000, factor, classes)
    temperature = fit_temperature(evaluation)
    assert temperature == pytest.approx(factor, rel=0.12)
    before, after = find_confidence(evaluation), find_confidence(evaluation, temperature)
    assert np.array_equal(before[1], after[1])  # no answer changes
    assert measure_calibration_error(*after) < 0.035
    if factor != 1.0:
        assert measure_calibration_error(*before) > 0.06


def test_temperature_stays_finite_where_everything_is_right():
    labels = torch.arange(40) % 2
    right = Evaluation(3 * torch.nn.functional.one_hot(labels, 2).float(), labels)
    assert 0.1 < fit_temperature(right) < 1
    wrong = Evaluation(right.logits, 1 - labels)
    assert 1 < fit_temperature(wrong) < 60


def test_chance_alone():
    honest = make_evaluation(300, 1.0)
    confidence, correct = find_confidence(honest)
    chance = simulate_calibration_error(confidence)
    assert 0 < measure_calibration_error(confidence, correct) < chance < 0.12
    sure = find_confidence(make_evaluation(300, 4.0))
    assert measure_calibration_error(*sure) > simulate_calibration_error(sure[0])
    many = find_confidence(make_evaluation(10_000, 1.0))[0]
    assert simulate_calibration_error(many, draws=50) < chance / 3


def test_calibration_belongs_to_the_weights(tmp_path):
    settings = load_settings("sample", home=str(tmp_path))
    assert find_calibration(settings, "frozen") == {}
    weights = find_folder(settings, "frozen") / "weights.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"first")
    validation = make_evaluation(40, 2.0)
    temperature = save_calibration(settings, "frozen", validation)
    found = find_calibration(settings, "frozen")
    assert found["temperature"] == temperature and math.isfinite(temperature)
    assert found["validation_accuracy"] == validation.accuracy
    weights.write_bytes(b"trained again")
    assert find_calibration(settings, "frozen") == {}
