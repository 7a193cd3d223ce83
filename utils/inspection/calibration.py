"""How sure a network is, whether it may be, and the one number that puts it right.

Reliability and expected calibration error (Naeini et al., 2015), temperature scaling (Guo et al.,
2017, https://arxiv.org/abs/1706.04599).
"""

import math

import numpy as np
from torch.nn import functional as F

from utils.files import read_json, write_json
from utils.runs import find_folder
from utils.settings import Settings
from utils.training import Evaluation

BINS = 10


def find_confidence(
    evaluation: Evaluation, temperature: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the class that was named, float64 [N], and whether it was right, bool [N]."""
    best = (evaluation.logits.double() / temperature).softmax(dim=1).max(dim=1)
    return best.values.numpy(), (best.indices == evaluation.labels).numpy()


def bin_confidence(
    confidence: np.ndarray, correct: np.ndarray, bins: int = BINS
) -> dict[str, np.ndarray]:
    """Equally wide bins of confidence: `low`, `count`, `confidence` and `accuracy` (means) of each.

    A confidence on an edge belongs to the bin below it, as in Guo et al.; empty bins are left out.
    """
    place = (np.ceil(confidence * bins).astype(int) - 1).clip(0, bins - 1)
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    sums = [np.bincount(place, values, bins) for values in (confidence, correct)]
    means = [total[filled] / count[filled] for total in sums]
    low = np.arange(bins)[filled] / bins
    return {"low": low, "count": count[filled], "confidence": means[0], "accuracy": means[1]}


def measure_calibration_error(
    confidence: np.ndarray, correct: np.ndarray, bins: int = BINS
) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy, weighted by pictures."""
    binned = bin_confidence(confidence, correct, bins)
    gaps = np.abs(binned["accuracy"] - binned["confidence"])
    return float((gaps * binned["count"]).sum() / len(confidence))


def simulate_calibration_error(confidence: np.ndarray, draws: int = 500, seed: int = 0) -> float:
    """The error that a network which is right exactly as often as it says stays below, 95 of 100
    times, on so few pictures: no error below this one shows anything."""
    generator = np.random.default_rng(seed)
    errors = [
        measure_calibration_error(confidence, generator.random(len(confidence)) < confidence)
        for _ in range(draws)
    ]
    return float(np.quantile(errors, 0.95))


def fit_temperature(evaluation: Evaluation) -> float:
    """The number to divide the logits by so that the loss on these pictures is smallest.

    Where every picture is right, the loss falls for ever with the temperature. So a weak prior
    (its logarithm is normal around 0 with deviation 1) counts like a part of a picture.
    """
    from scipy.optimize import minimize_scalar  # here, since only fitting needs it, and it is slow

    logits, labels = evaluation.logits.double(), evaluation.labels

    def compute_loss(logarithm: float) -> float:
        loss = F.cross_entropy(logits / math.exp(logarithm), labels, reduction="sum")
        return loss.item() + logarithm**2 / 2

    return math.exp(minimize_scalar(compute_loss, bounds=(-4, 4), method="bounded").x)


def save_calibration(settings: Settings, name: str, validation: Evaluation) -> float:
    """Fit a run's temperature on its validation logits, keep both with the run, and return it."""
    temperature = fit_temperature(validation)
    content = {
        "temperature": temperature,
        "validation_accuracy": validation.accuracy,
        "weights": identify_weights(settings, name),
    }
    write_json(find_folder(settings, name) / "calibration.json", content)
    return temperature


def find_calibration(settings: Settings, name: str) -> dict:
    """`temperature` and `validation_accuracy` as saved for a run's present weights, or {}."""
    content = read_json(find_folder(settings, name) / "calibration.json")
    try:
        return content if content.get("weights") == identify_weights(settings, name) else {}
    except OSError:  # no weights
        return {}


def identify_weights(settings: Settings, name: str) -> list[int]:
    """Size and date of a run's weights: a run that was trained again has others."""
    status = (find_folder(settings, name) / "weights.pt").stat()
    return [status.st_size, status.st_mtime_ns]
