"""What the text claims, checked where it is claimed, and the intervals that go with an accuracy."""

import os

import torch

from utils.settings import CourseError


def claim(condition: bool, text: str) -> None:
    """Print ✔ or ✘ before `text`; under CI (`CI` set) a claim that does not hold is an error.

    It is for facts: equal, frozen, found again. On your own images a claim may fail: then the ✘ is
    the result, and worth a thought. Raises CourseError.
    """
    if not condition and os.environ.get("CI"):
        raise CourseError(f"A claim of the text does not hold: {text}.")
    print(f"{'✔' if condition else '✘'} {text}")


def claim_better(
    better: tuple[int, int] | torch.Tensor, worse: tuple[int, int] | torch.Tensor, text: str
) -> None:
    """Claim that one accuracy is higher than another, on enough images to show it.

    Each side is (correct, seen), and then their 95 % intervals must not overlap; or both are bool
    tensors [N], right or wrong for the same images in the same order, and then McNemar's exact test
    (McNemar, 1947) must find p < 0.05. Raises CourseError for one of each, and under CI where it is
    not shown.
    """
    if isinstance(better, torch.Tensor) and isinstance(worse, torch.Tensor):
        gained = int((better & ~worse).sum())
        lost = int((worse & ~better).sum())
        p_value = find_p_value(gained, lost)
        shown = gained > lost and p_value < 0.05
        figures = f"gained {gained}, lost {lost}, p = {p_value:.2g}"
    elif isinstance(better, torch.Tensor) or isinstance(worse, torch.Tensor):
        raise CourseError("Compare two tensors of right or wrong, or two pairs (correct, seen).")
    else:
        shown = find_interval(*better)[0] > find_interval(*worse)[1]
        figures = f"{better[0]} of {better[1]} against {worse[0]} of {worse[1]}"
    claim(shown, f"{text} ({figures})" if shown else f"not shown: {text} ({figures})")


def find_interval(correct: int, seen: int) -> tuple[float, float]:
    """95 % Wilson interval of an accuracy, both ends in 0..1 (Wilson, 1927)."""
    from scipy.stats import binomtest  # takes half a second, which most notebooks need not pay

    interval = binomtest(int(correct), int(seen)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def find_p_value(gained: int, lost: int) -> float:
    """McNemar's exact p: how often a fair coin would split the changed answers this unevenly."""
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def format_accuracy(correct: int, seen: int) -> str:
    """Accuracy with its interval: `97.3 % (95 % interval 94.8–98.6 %, 292 of 300)`."""
    low, high = find_interval(correct, seen)
    return (
        f"{100 * correct / seen:.1f} % (95 % interval {100 * low:.1f}–{100 * high:.1f} %, "
        f"{correct:,} of {seen:,})"
    )
