"""Which labels may be wrong: judged by heads that did not train on the image.

A head that has seen an image with a wrong label may have learned it by heart. So each image is
judged by a head trained without it: confident learning (Northcutt et al., 2021,
https://arxiv.org/abs/1911.00068).
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict


def find_suspects(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose label is doubtful, the most doubtful first, and probabilities [N, classes].

    `features` are float [N, features], `labels` int [N]. Doubtful is a label where another class
    is more probable, and as probable as it is for images that carry its name.
    """
    head = LogisticRegression(C=0.01, max_iter=1000)  # too stiff to learn errors by heart
    parts = max(2, min(5, np.bincount(labels).min()))
    folds = StratifiedKFold(parts, shuffle=True, random_state=0)
    probabilities = cross_val_predict(head, features, labels, cv=folds, method="predict_proba")
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    usual = np.array([own[labels == label].mean() for label in np.unique(labels)])
    others = probabilities.copy()
    others[rows, labels] = 0
    doubtful = ((others >= usual) & (others > own[:, None])).any(axis=1)
    order = np.argsort(own - others.max(axis=1))
    return order[doubtful[order]], probabilities


def plant_errors(labels: np.ndarray, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A copy of labels, int [N], of which `share` name another class, and the rows changed."""
    generator = np.random.default_rng(seed)
    rows = generator.choice(len(labels), round(share * len(labels)), replace=False)
    planted, count = labels.copy(), labels.max() + 1
    planted[rows] = (labels[rows] + generator.integers(1, count, len(rows))) % count
    return planted, rows
