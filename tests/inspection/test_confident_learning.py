"""Wrong labels that were planted: found, put right, and worth it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from utils.confident_learning import (
    correct_features,
    find_doubtful,
    plant_errors,
    predict_out_of_sample,
    rank_doubts,
)
from utils.corrections import Correction
from utils.features import Features, evaluate_head, fit_head


def make_features(count: int = 300, classes: int = 3, seed: int = 0) -> Features:
    """Classes that lie apart, in enough dimensions for a head to learn wrong labels by heart."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    values = torch.randn(count, 200, generator=generator)
    values[torch.arange(count), labels] += 6.0
    names = tuple(f"class {k}" for k in range(classes))
    return Features(values, labels, names, "made", 1.0)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_planted_errors(classes):
    labels = torch.arange(100) % classes
    planted, rows = plant_errors(labels, classes, part=0.1)
    assert len(rows) == 10
    assert sorted((planted != labels).nonzero().flatten().tolist()) == sorted(rows.tolist())
    assert 0 <= planted.min() and planted.max() < classes


@pytest.mark.parametrize("classes", [2, 3])
def test_planted_errors_are_found_and_repairing_them_helps(classes):
    clean, fresh = make_features(classes=classes), make_features(600, classes, seed=1)
    planted, changed = plant_errors(clean.labels, classes, part=0.15)
    spoiled = replace(clean, labels=planted)
    suspects = find_doubtful(predict_out_of_sample(spoiled), planted)
    found = set(suspects) & set(changed.tolist())
    assert len(found) > 0.7 * len(changed)
    assert len(found) / len(suspects) > 3 * 0.15  # three times as often as by guessing

    files = [f"train/{row}.png" for row in range(len(clean))]
    decisions = {
        files[row]: Correction("relabel", clean.classes[clean.labels[row]]) for row in suspects
    }
    repaired = correct_features(spoiled, files, decisions)
    accuracies = [
        evaluate_head(fit_head(rows), fresh).accuracy for rows in (spoiled, repaired, clean)
    ]
    assert accuracies[1] > accuracies[0] + 0.03
    assert accuracies[1] > accuracies[2] - 0.05


def test_a_picture_is_judged_by_a_head_that_never_saw_it():
    """With its features on its own, a picture is learned by heart by any head that saw it."""
    features = make_features(60, 2)
    values = torch.cat([features.values * 0, 100 * torch.eye(60)], dim=1)
    probabilities = predict_out_of_sample(replace(features, values=values))
    assert torch.allclose(probabilities, torch.full((60, 2), 0.5), atol=0.05)


def test_every_class_is_in_every_fold():
    features = make_features(53, 3)
    assert (predict_out_of_sample(features).sum(dim=1) - 1).abs().max() < 1e-5
    assert (predict_out_of_sample(features) > 0).all()


def test_rule_of_confident_learning():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    first = torch.tensor([0.9, 0.8, 0.05, 0.1, 0.3, 0.6])
    probabilities = torch.stack([first, 1 - first], dim=1)
    # Usual for class 0: (0.9 + 0.8 + 0.05) / 3 = 0.58; for class 1: (0.9 + 0.7 + 0.4) / 3 = 0.67.
    assert find_doubtful(probabilities, labels) == [2, 5]
    assert rank_doubts(probabilities, labels) == [2, 5, 4, 1, 0, 3]


def test_correcting_features_drops_and_relabels():
    features = make_features(6, 2)
    files = list("abcdef")
    decisions = {"a": Correction("drop"), "b": Correction("relabel", "class 0")}
    corrected = correct_features(features, files, decisions)
    assert corrected.labels.tolist() == [0, 0, 1, 0, 1]
    assert np.array_equal(corrected.values, features.values[1:])
    assert correct_features(features, files, {}).labels.tolist() == features.labels.tolist()
