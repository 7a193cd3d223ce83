"""Controls of notebook 04: between the frozen and the fine-tuned network."""

import ipywidgets
import torch

from utils.drawings import Drawing, show_pictures
from utils.pictures import Pictures
from utils.training import Evaluation
from utils.widgets import make_slider, show_control


def find_most_moved(evaluations: list[Evaluation], count: int = 8) -> list[int]:
    """Rows of the pictures whose probability of the right class changes most between them."""
    labels = evaluations[0].labels
    right = torch.stack([e.logits.softmax(dim=1)[range(len(labels)), labels] for e in evaluations])
    spread = right.max(dim=0).values - right.min(dim=0).values
    return spread.topk(min(count, len(labels))).indices.tolist()


def draw_answers(
    pictures: Pictures, evaluation: Evaluation, rows: list[int], part: float
) -> Drawing:
    """What a network `part` of the way to the fine-tuned one says of some pictures."""
    sure = evaluation.logits.softmax(dim=1)[rows].max(dim=1)
    classes = pictures.split.classes
    answers = zip(sure.indices.tolist(), sure.values.tolist(), strict=True)
    titles = [f"{classes[label]} {probability:.0%}" for label, probability in answers]
    title = (
        f"{part:.0%} of the way: loss {evaluation.loss:.3f}, "
        f"{evaluation.correct:,} of {len(evaluation.labels):,} right"
    )
    images, labels = pictures.load(rows)
    right = (sure.indices == labels).tolist()
    return show_pictures(images, titles, columns=8, title=title, correct=right, size=1.0)


def explore_path(
    pictures: Pictures, evaluations: list[Evaluation], parts: list[float], first: float
) -> None:
    """A slider from the frozen to the fine-tuned network; the pictures that notice it most.

    `evaluations` are those of networks at evenly spaced `parts` of the way, from 0 to 1.
    """
    rows = find_most_moved(evaluations)
    view = ipywidgets.HTML()
    drawings: dict[int, Drawing] = {}  # drawn once each: the second time is quick
    slider = make_slider("part of the way", first, 0.0, 1.0, 1 / (len(parts) - 1), ".0%")

    def redraw(change=None) -> Drawing:
        place = round(slider.value * (len(parts) - 1))
        if place not in drawings:
            drawings[place] = draw_answers(pictures, evaluations[place], rows, parts[place])
        view.value = drawings[place].to_html()
        return drawings[place]

    slider.observe(redraw, "value")
    drawing = redraw()
    show_control(ipywidgets.VBox([slider, view]), drawing)
