"""Which pictures a network gets wrong, and how wrong at which threshold."""

import numpy as np
import torch

from utils.training import Evaluation


def count_confusions(evaluation: Evaluation) -> np.ndarray:
    """int [classes, classes]: how many pictures of a class (row) were called what (column)."""
    count = evaluation.logits.shape[1]
    pairs = evaluation.labels * count + evaluation.logits.argmax(dim=1)
    return torch.bincount(pairs, minlength=count * count).reshape(count, count).numpy()


def trace_roc(evaluation: Evaluation, label: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The ROC curve of one class against the rest, and the area under it.

    At each threshold on the probability of `label`: the part of the other pictures called by that
    name (false positives), and the part of its own (true positives), both rising from 0 to 1.
    """
    scores = evaluation.logits.double().log_softmax(dim=1)
    # By log-odds: probabilities near 1 round to the same number, and would tie.
    others = torch.arange(scores.shape[1]) != label
    odds = (scores[:, label] - scores[:, others].logsumexp(dim=1)).numpy().round(9)
    order = np.argsort(-odds, kind="stable")
    positive = (evaluation.labels == label).numpy()[order]
    last = np.append(np.flatnonzero(np.diff(odds[order])), len(odds) - 1)  # ties move together
    true = np.append(0, positive.cumsum()[last]) / positive.sum()
    false = np.append(0, (~positive).cumsum()[last]) / (~positive).sum()
    return false, true, float(((true[1:] + true[:-1]) / 2 * np.diff(false)).sum())


def rank_mistakes(evaluation: Evaluation) -> list[int]:
    """Rows that were called something else, the most confident mistake first."""
    best = evaluation.logits.softmax(dim=1).max(dim=1)
    wrong = (best.indices != evaluation.labels).nonzero().flatten()
    return wrong[best.values[wrong].argsort(descending=True)].tolist()
