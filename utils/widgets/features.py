"""The control of notebook 03: how many images does a head need?"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn
from torch.utils.data import TensorDataset

from utils.features import fit_head, select_per_class
from utils.plots import Drawing
from utils.plots.features import SHOWN_USED, SHOWN_WRONG, draw_head_report
from utils.widgets import explore

# Images per class. A head for 1,000 takes a tenth of a second: more would not feel like a slider.
STOPS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500)


def explore_few_images(
    train: TensorDataset,
    validation: TensorDataset,
    images: tuple[Sequence, Sequence],
    class_names: Sequence[str],
    levels: dict[str, float],
    start: nn.Linear | None = None,
) -> None:
    """A slider for the images per class, and a button for others; a new head each time.

    The head is fitted to the training features drawn and judged on all validation features;
    `images` belong to both, in their order. With `start`, heads are held near it, from 0 images on.
    """
    (features, labels), (new_features, new_labels) = train.tensors, validation.tensors

    @lru_cache(maxsize=100)
    def report(images_per_class: int, draw_again: int = 0) -> Drawing:
        rows = select_per_class(labels, images_per_class, draw_again)
        chosen = TensorDataset(features[rows], labels[rows])
        head = fit_head(chosen, start=start) if images_per_class or start is None else start
        with torch.no_grad():
            confidence, answers = head(new_features).softmax(dim=1).max(dim=1)
        wrong = (answers != new_labels).nonzero().flatten()
        worst = wrong[confidence[wrong].argsort(descending=True)][:SHOWN_WRONG].tolist()
        names = [class_names[label] for label in answers.tolist()]
        says = [f"says\u00a0{names[i]}, {100 * confidence[i]:.0f} %" for i in worst]
        mistakes = list(zip([images[1][row] for row in worst], says, strict=True))
        used: dict[str, Sequence] = {}
        for label, name in enumerate(class_names):
            some = rows[labels[rows] == label][: max(1, SHOWN_USED // len(class_names))]
            used[name] = [images[0][row] for row in some.tolist()]
        return draw_head_report(
            len(new_labels) - len(wrong), len(new_labels), used, mistakes, levels, images_per_class
        )

    most = min(int(labels.bincount().min()), STOPS[-1])
    stops = [*(stop for stop in STOPS if stop < most), most]
    stops = [0, *stops] if start is not None else stops
    explore(report, images_per_class=stops, draw_again="button")
