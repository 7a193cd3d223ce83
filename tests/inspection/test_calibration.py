"""Confidence, its error, and the temperature that repairs it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from utils.inspection.calibration import (
    bin_confidence,
    fit_temperature,
    measure_calibration_error,
    simulate_calibration_error,
)


def make_logits(count: int, factor: float, classes: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels drawn from the softmax of logits, which are then multiplied by `factor`."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, classes, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return logits * factor, labels


def find_confidence(logits, labels, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    confidence, answers = (logits.double() / temperature).softmax(dim=1).max(dim=1)
    return confidence.numpy(), (answers == labels).numpy()


def test_error_by_hand():
    confidence = np.array([0.95, 0.55, 0.55, 0.55, 0.95, 0.55])
    correct = np.array([True, True, True, False, False, True])
    binned = bin_confidence(confidence, correct, bins=3)
    assert binned["count"].tolist() == [2, 2, 2]
    assert binned["confidence"] == pytest.approx([0.55, 0.55, 0.95])
    assert binned["accuracy"].tolist() == [1.0, 0.5, 0.5]
    error = measure_calibration_error(confidence, correct, bins=3)
    assert error == pytest.approx((0.45 + 0.05 + 0.45) / 3)


def test_fewer_images_than_bins():
    binned = bin_confidence(np.array([1.0, 0.5]), np.array([True, False]), bins=10)
    assert binned["count"].tolist() == [1, 1] and binned["accuracy"].tolist() == [0, 1]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_temperature_finds_the_factor(classes, factor):
    logits, labels = make_logits(4000, factor, classes)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(factor, rel=0.12)
    before = find_confidence(logits, labels)
    after = find_confidence(logits, labels, temperature)
    assert np.array_equal(before[1], after[1])  # no answer changes
    assert measure_calibration_error(*after) < 0.035
    if factor != 1.0:
        assert measure_calibration_error(*before) > 0.06


def test_penalty_alone_holds_the_temperature_where_everything_is_right():
    labels = torch.arange(40) % 2
    right = 3 * F.one_hot(labels, 2).float()
    found = [fit_temperature(right, labels, penalty) for penalty in (0.0, 0.1, 1.0, 10.0)]
    assert found[0] < 0.05  # far below, the loss is zero in floats: the search stops there
    assert found == sorted(found) and found[-1] < 1
    assert fit_temperature(right, 1 - labels) > 1


def test_chance_alone():
    confidence, correct = find_confidence(*make_logits(300, 1.0))
    chance = simulate_calibration_error(confidence)
    assert 0 < measure_calibration_error(confidence, correct) < chance < 0.12
    bold, correct = find_confidence(*make_logits(300, 4.0))
    assert measure_calibration_error(bold, correct) > simulate_calibration_error(bold)
    many, _ = find_confidence(*make_logits(10_000, 1.0))
    assert simulate_calibration_error(many, draws=50) < chance / 3
