"""Exercises of notebook 08: wrong answers with their hint, unusual right ones."""

import numpy as np
import pytest
import torch
from solutions import judge
from typed import load_typed

make_bins = load_typed("08_can_you_trust_it", "make_bins", {"np": np})


def list_gaps(confidence, correct):
    return np.array([mean * seen - right for mean, right, seen in make_bins(confidence, correct)])


def weigh_by_numpy(confidence, correct):
    bins = make_bins(confidence, correct)
    means, right, seen = map(np.array, zip(*bins, strict=True))
    return np.average(abs(means - right / seen), weights=seen)


def score(probabilities, labels):
    return (probabilities - torch.eye(probabilities.shape[1])[labels]) ** 2


def brier_in_a_loop(probabilities, labels):
    total = 0.0
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        total += sum((p - (k == label)) ** 2 for k, p in enumerate(row))
    return torch.tensor(total / len(labels))


def try_all_thresholds(ordinary, strange, caught=0.95):
    best = 1.0
    for threshold in strange:
        if (strange >= threshold).double().mean() >= caught - 1e-9:
            best = min(best, float((ordinary >= threshold).float().mean()))
    return best


def use_quantile(ordinary, strange, caught=0.95):
    return (ordinary >= strange.quantile(1 - caught, interpolation="lower")).float().mean()


def cover(images, strength):
    side = int(24 * strength)
    covered = images.clone()
    covered[..., :side, :side] = 0.5
    return covered


def darken_in_place(images, strength):
    return images.mul_(1 - strength)


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("8.1", weigh_by_numpy),
        ("8.1", lambda c, r: torch.tensor(abs(list_gaps(c, r)).sum() / len(r))),
        ("8.2", brier_in_a_loop),
        ("8.2", lambda p, y: score(p, y).sum() / len(y)),
        ("8.2", lambda p, y: (p**2).sum(1).mean() - 2 * p[range(len(y)), y].mean() + 1),
        ("8.3", try_all_thresholds),
        ("8.3", use_quantile),
        ("8.4", cover),
        ("8.4", lambda x, s: (x + s * torch.randn(x.shape)).clamp(0, 1)),
        ("8.4", lambda x, s: (x * (1 - s)).numpy()),
    ],
)
def test_unusual_right_answers(number: str, answer) -> None:
    assert judge(number, answer).endswith("✔ right.")


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("8.1", lambda c, r: abs(list_gaps(c, r).sum()) / len(r), "still cancel"),
        ("8.1", lambda c, r: abs(list_gaps(c, r)).sum(), "Divide"),
        ("8.1", lambda c, r: 0.0, "weighted by images"),
        ("8.2", lambda p, y: score(p, y).mean(), "over the images alone"),
        ("8.2", lambda p, y: score(p, y).sum(), "Take the mean"),
        ("8.2", lambda p, y: score(p, y)[range(len(y)), y].mean(), "other classes"),
        ("8.2", lambda p, y: score(p, y).sum(1).sqrt().mean(), "No root"),
        ("8.2", lambda p, y: 0.5, "not 0.5000"),
        ("8.3", lambda o, s, c: try_all_thresholds(o, s, c) * len(o), "A share"),
        ("8.3", lambda o, s, c: 1 - try_all_thresholds(o, s, c), "no alarm"),
        ("8.3", lambda o, s, c: (o >= s.min()).float().mean(), "too many"),
        ("8.3", lambda o, s, c: 0.0, "too few"),
        ("8.4", darken_in_place, "work on a copy"),
        ("8.4", lambda x, s: x[..., :8, :8], "must stay"),
        ("8.4", lambda x, s: x + s, "clamp"),
        ("8.4", lambda x, s: (x + 0.1).clamp(0, 1), "Strength 0"),
        ("8.4", lambda x, s: x, "change more"),
        ("8.4", lambda x, s: x * (1 - 0.5 * (s > 0)), "change more"),
    ],
)
def test_wrong_answers_get_their_hint(number: str, answer, hint: str) -> None:
    said = judge(number, answer)
    assert "✘" in said and hint in said
