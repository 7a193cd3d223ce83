"""How confident a network is, whether it may be, and the one number that repairs it.

Expected calibration error (Naeini et al., 2015), temperature scaling (Guo et al., 2017,
https://arxiv.org/abs/1706.04599).
"""

import math

import numpy as np
import torch
from torch.nn import functional as F

BINS = 10


def bin_confidence(
    confidence: np.ndarray, correct: np.ndarray, bins: int = BINS
) -> dict[str, np.ndarray]:
    """Bins of equal counts, by confidence: mean `confidence`, mean `accuracy` and `count` of each.

    `confidence` is float [N] in 0..1, `correct` bool [N]. Equally wide bins would hold one or two
    images where a good network is seldom unsure, and nearly all of them in the last.
    """
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return {
        "confidence": np.array([confidence[part].mean() for part in parts]),
        "accuracy": np.array([correct[part].mean() for part in parts]),
        "count": np.array([len(part) for part in parts]),
    }


def measure_calibration_error(
    confidence: np.ndarray, correct: np.ndarray, bins: int = BINS
) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy, weighted by images."""
    binned = bin_confidence(confidence, correct, bins)
    gaps = np.abs(binned["accuracy"] - binned["confidence"])
    return float(np.average(gaps, weights=binned["count"]))


def simulate_calibration_error(confidence: np.ndarray, draws: int = 500, seed: int = 0) -> float:
    """What the error of a perfectly calibrated network stays below, 95 times of 100.

    Drawn with exactly these confidences: on few images no error below this one shows anything, so
    it is computed for the confidences before and after a repair.
    """
    generator = np.random.default_rng(seed)
    errors = [
        measure_calibration_error(confidence, generator.random(len(confidence)) < confidence)
        for _ in range(draws)
    ]
    return float(np.quantile(errors, 0.95))


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor, penalty: float = 1.0) -> float:
    """The number to divide logits [N, classes] by so that their loss is smallest.

    Where every image is right, the loss falls for ever as the temperature goes to zero: `penalty`
    times log(temperature)² / 2 holds it near 1, and counts about as much as one image does.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and only this needs it

    logits = logits.double()

    def compute_loss(logarithm: float) -> float:
        loss = F.cross_entropy(logits / math.exp(logarithm), labels, reduction="sum")
        return loss.item() + penalty * logarithm**2 / 2

    return math.exp(minimize_scalar(compute_loss, bounds=(-6, 6), method="bounded").x)
