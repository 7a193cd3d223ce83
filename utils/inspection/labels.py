"""Which labels may be wrong: confidence that a picture's own head did not learn by heart.

A head that has seen a picture with a wrong label may have learned it. So each picture is judged by
a head that was trained without it, and its label is doubtful where another class is as probable as
that class usually is: confident learning (Northcutt et al., 2021, https://arxiv.org/abs/1911.00068).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F
from tqdm.auto import tqdm

from utils.corrections import Correction, apply_corrections
from utils.features import Features, fit_head

FOLDS = 5
# Far more than fit_head's own: a head that can fit every wrong label vouches for its neighbours.
WEIGHT_DECAY = 0.03


def predict_out_of_sample(features: Features, folds: int = FOLDS, seed: int = 0) -> torch.Tensor:
    """float32 [N, classes]: each picture's probabilities from a head that was not trained on it."""
    generator = np.random.default_rng(seed)
    fold = np.zeros(len(features), dtype=int)
    for label in range(len(features.classes)):  # each class is spread over all folds
        rows = generator.permutation(np.flatnonzero(features.labels.numpy() == label))
        fold[rows] = np.arange(len(rows)) % folds
    probabilities = torch.zeros(len(features), len(features.classes))
    for number in tqdm(range(folds), f"{folds} heads", leave=False):
        inside = torch.from_numpy(fold != number)
        head = fit_head(features.select(inside.nonzero().flatten()), weight_decay=WEIGHT_DECAY)
        with torch.inference_mode():
            probabilities[~inside] = head(features.values[~inside]).softmax(dim=1)
    return probabilities


def find_doubtful(probabilities: torch.Tensor, labels: torch.Tensor) -> list[int]:
    """Rows whose label is doubtful by the rule above, the most doubtful first.

    "As that class usually is" means: its mean probability on the pictures that carry its label.
    """
    count = probabilities.shape[1]
    usual = torch.stack([probabilities[labels == k, k].mean() for k in range(count)])
    own = F.one_hot(labels, count).bool()
    least = torch.maximum(usual, probabilities[own][:, None])
    doubtful = ((probabilities >= least) & ~own).any(dim=1)
    rows = rank_doubts(probabilities, labels)
    return [row for row in rows if doubtful[row]]


def rank_doubts(probabilities: torch.Tensor, labels: torch.Tensor) -> list[int]:
    """All rows, beginning with those whose label loses most clearly against another class."""
    own = F.one_hot(labels, probabilities.shape[1]).bool()
    margin = probabilities.masked_fill(own, 0).max(dim=1).values - probabilities[own]
    return margin.argsort(descending=True, stable=True).tolist()


def plant_errors(
    labels: torch.Tensor, classes: int, part: float, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """A copy of the labels in which `part` of them name another class, and the rows changed."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(labels), generator=generator)[: round(part * len(labels))]
    steps = torch.randint(1, classes, (len(rows),), generator=generator)
    planted = labels.clone()
    planted[rows] = (labels[rows] + steps) % classes
    return planted, rows


def correct_features(
    features: Features, files: Sequence[str], corrections: dict[str, Correction]
) -> Features:
    """The same features with the corrected labels, without the dropped pictures."""
    labels = features.labels.numpy()
    rows, corrected = apply_corrections(files, labels, features.classes, corrections)
    return replace(features.select(rows), labels=torch.from_numpy(corrected))
