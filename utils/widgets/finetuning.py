"""The control of notebook 07: between the frozen and the fine-tuned network."""

from collections.abc import Sequence

import torch

from utils.plots import Drawing, show_images
from utils.widgets import explore

SHOWN = 8


def explore_path(
    logits: dict[float, torch.Tensor],
    labels: torch.Tensor,
    images: Sequence,
    class_names: Sequence[str],
) -> None:
    """A slider from the frozen (0) to the fine-tuned network (1), on the images that change most.

    `logits` [N, classes] are those of the averaged network at each share of the way.
    """
    probabilities = {share: each.softmax(dim=1) for share, each in logits.items()}
    known = torch.stack([each[range(len(labels)), labels] for each in probabilities.values()])
    spread = known.max(dim=0).values - known.min(dim=0).values
    rows = spread.topk(min(SHOWN, len(labels))).indices.tolist()

    def draw(share_of_the_way: float) -> Drawing:
        confidence, answers = probabilities[share_of_the_way].max(dim=1)
        correct = answers == labels
        titles = [f"{class_names[answers[row]]} {100 * confidence[row]:.0f} %" for row in rows]
        share, right = 100 * share_of_the_way, int(correct.sum())
        title = f"{share:.0f} % of the way: {right:,} of {len(labels):,} right"
        shown = [images[row] for row in rows]
        return show_images(shown, titles, title=title, correct=correct[rows].tolist())

    explore(draw, share_of_the_way=list(logits))
