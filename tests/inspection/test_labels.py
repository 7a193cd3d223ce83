"""Wrong labels that were planted: found, repaired, and worth it."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from typed import load_typed

find_suspects = load_typed("05_inspect_and_predict", "find_suspects", {"np": np})


def plant_errors(labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """A copy of labels with a share of them wrong, and the rows that are."""
    generator = np.random.default_rng(0)
    rows = generator.choice(len(labels), round(share * len(labels)), replace=False)
    planted = labels.copy()
    planted[rows] += generator.integers(1, labels.max() + 1, len(rows))
    return planted % (labels.max() + 1), rows


def make_features(count: int = 300, classes: int = 3, seed: int = 0):
    """Classes that lie apart, in enough dimensions for a head to learn wrong labels by heart."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    values = generator.normal(size=(count, 200))
    values[np.arange(count), labels] += 6.0
    return values, labels


@pytest.mark.parametrize("classes", [2, 3])
def test_planted_errors_are_found_and_repairing_them_helps(classes):
    values, labels = make_features(classes=classes)
    planted, changed = plant_errors(labels, share=0.15)
    suspects, probabilities = find_suspects(values, planted)
    assert probabilities.shape == (300, classes)
    assert np.allclose(probabilities.sum(axis=1), 1)
    found = set(suspects) & set(changed)
    assert len(found) > 0.7 * len(changed)
    assert len(found) / len(suspects) > 3 * 0.15  # three times as often as by guessing
    repaired = planted.copy()
    repaired[suspects] = probabilities[suspects].argmax(axis=1)
    head, (fresh, truth) = LogisticRegression(), make_features(600, classes, seed=1)
    accuracies = [head.fit(values, y).score(fresh, truth) for y in (planted, repaired, labels)]
    assert accuracies[1] > accuracies[0] + 0.03
    assert accuracies[1] > accuracies[2] - 0.1


def test_an_image_is_judged_by_a_head_that_never_saw_it():
    """With its features on its own, an image is learned by heart by any head that saw it."""
    probabilities = find_suspects(100 * np.eye(60), np.arange(60) % 2)[1]
    assert np.allclose(probabilities, 0.5, atol=0.05)


def test_the_most_doubtful_comes_first():
    values, labels = make_features()
    planted, _ = plant_errors(labels, share=0.15)
    suspects, probabilities = find_suspects(values, planted)
    own = probabilities[suspects, planted[suspects]]
    gaps = probabilities[suspects].max(axis=1) - own
    assert (gaps > 0).all() and (np.diff(gaps) <= 0).all()
