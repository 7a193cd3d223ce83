"""Learning curves: accuracy against the number of training pictures, kept for other notebooks."""

import math
from collections.abc import Sequence

import numpy as np

from utils.errors import CourseError
from utils.files import read_json, write_json
from utils.pictures import Pictures
from utils.runs import find_folder
from utils.settings import Settings


def select_per_class(pictures: Pictures, count: int, seed: int = 0) -> Pictures:
    """`count` pictures of each class, drawn with `seed`, in their old order.

    With the same seed, fewer pictures are a part of more: what differs is their number alone.
    A class with fewer than `count` gives all it has.
    """
    labels = pictures.split.labels
    orders = [
        np.random.default_rng((seed, label)).permutation(np.flatnonzero(labels == label))
        for label in range(len(pictures.split.classes))
    ]
    return pictures.select(np.sort(np.concatenate([order[:count] for order in orders])))


def save_curve(
    settings: Settings,
    name: str,
    train: Pictures,
    counts: list[int],
    accuracies: list[float],
    seconds: list[float],
) -> None:
    """Keep the curve of the run `name` beside it.

    A point is `counts` pictures a class (of the smallest class), the validation accuracy in 0..1,
    and the seconds of training; `train` are all training pictures there are.
    """
    content = {
        "pictures": train.key,
        "counts": [int(count) for count in counts],
        "accuracies": [float(accuracy) for accuracy in accuracies],
        "seconds": [float(second) for second in seconds],
    }
    write_json(find_folder(settings, name) / "curve.json", content)


def find_curve(settings: Settings, name: str, train: Pictures) -> dict[str, list] | None:
    """{"counts", "accuracies", "seconds"} as saved; None where there is none of these pictures."""
    content = read_json(find_folder(settings, name) / "curve.json")
    try:
        curve = {key: list(content[key]) for key in ("counts", "accuracies", "seconds")}
    except (KeyError, TypeError):  # there is none, or something else
        return None
    whole = len(set(map(len, curve.values()))) == 1
    return curve if whole and content.get("pictures") == train.key else None


def fit_line(counts: Sequence[int], accuracies: Sequence[float]) -> tuple[float, float]:
    """The straight line of accuracy against log2(pictures), by least squares.

    Returns (accuracy at one picture, gain with each doubling), both in parts of 1.
    Raises CourseError for fewer than two different counts.
    """
    if len(set(counts)) < 2:
        raise CourseError(
            f"A learning curve through {list(counts)} pictures a class has no slope: put at least "
            "three pictures into each class folder of the training part."
        )
    per_doubling, at_one = np.polyfit(np.log2(counts), accuracies, 1)
    return float(at_one), float(per_doubling)


def find_count(line: tuple[float, float], accuracy: float) -> float:
    """Where the line reaches the accuracy: pictures, infinite where it does not rise."""
    at_one, per_doubling = line
    if per_doubling <= 0:
        return math.inf
    doublings = (accuracy - at_one) / per_doubling
    return 2.0**doublings if doublings < 1000 else math.inf


def draw_lines(
    counts: Sequence[int], accuracies: Sequence[float], seen: int, draws: int = 2000, seed: int = 0
) -> np.ndarray:
    """Lines that fit other validation sets of `seen` pictures as well: float [draws, 2].

    Each accuracy is drawn again from its binomial distribution (the parametric bootstrap of Efron,
    1979). The luck of the training itself is not in it: for that, train again with other seeds.
    """
    generator = np.random.default_rng(seed)
    drawn = generator.binomial(seen, np.asarray(accuracies), (draws, len(counts))) / seen
    per_doubling, at_one = np.polyfit(np.log2(counts), drawn.T, 1)
    return np.stack([at_one, per_doubling], axis=1)


def format_seconds(seconds: float) -> str:
    """`12 s`, `3.4 minutes` or `5.6 hours`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:,.1f} minutes" if seconds < 5400 else f"{seconds / 3600:,.1f} hours"
