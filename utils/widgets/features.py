"""The control of notebook 03: how many pictures does a head need?"""

from collections.abc import Callable
from functools import lru_cache

import ipywidgets
import numpy as np
from PIL import Image

from utils.drawings import Drawing
from utils.features import Features, draw_per_class, evaluate_head, fit_head
from utils.pictures import Pictures
from utils.plots_head import SHOWN_WRONG, draw_head_report
from utils.runs import find_interval
from utils.widgets import show_control

STOPS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500)


def list_stops(features: Features) -> list[int]:
    """Pictures a class to choose from: up to all of the smallest class, but 500 at most.

    (A head for 1,000 pictures takes a tenth of a second; more would not feel like a slider.)
    """
    most = min(int(features.labels.bincount().min()), STOPS[-1])
    return [*(stop for stop in STOPS if stop < most), most]


def make_head_reporter(
    features: Features,
    train: Pictures,
    validation_features: Features,
    validation: Pictures,
    levels: dict[str, float],
) -> Callable[[int, int], Drawing]:
    """The function behind the slider: (pictures a class, number of the draw) → a drawing.

    It trains a head on the pictures drawn, judges it on all validation pictures, and draws both.
    `levels` are named accuracies to compare with. What was drawn once is kept.
    """

    @lru_cache(maxsize=2000)
    def shrink(row: int) -> Image.Image:
        return Image.fromarray(np.asarray(train.array[row])).reduce(2)

    @lru_cache(maxsize=100)
    def report(count: int, draw: int) -> Drawing:
        rows = draw_per_class(features.labels, count, draw)
        result = evaluate_head(fit_head(features.select(rows)), validation_features)
        sure, said = result.logits.softmax(dim=1).max(dim=1)
        wrong = (said != result.labels).nonzero().flatten()
        wrong = wrong[sure[wrong].argsort(descending=True)][:SHOWN_WRONG].tolist()
        shown = [
            (
                Image.fromarray(np.asarray(validation.array[row])),
                f"says {features.classes[said[row]][:10]}\n{100 * sure[row]:.0f} % sure",
            )
            for row in wrong
        ]
        used = {
            name: [shrink(row) for row in rows[features.labels[rows] == label].tolist()]
            for label, name in enumerate(features.classes)
        }
        interval = find_interval(result.correct, len(validation))
        return draw_head_report(result.correct, len(validation), interval, used, shown, levels)

    return report


def explore_few_pictures(
    features: Features,
    train: Pictures,
    validation_features: Features,
    validation: Pictures,
    levels: dict[str, float],
) -> None:
    """A slider for the pictures a class, and a button for others of them; a new head each time."""
    report = make_head_reporter(features, train, validation_features, validation, levels)
    stops = list_stops(features)
    report(stops[-1], 0)  # reads every picture the first draw will need from disk
    slider = ipywidgets.SelectionSlider(
        options=stops, value=max(stop for stop in stops if stop <= 10),
        description="pictures a class", style={"description_width": "9em"},
        layout={"width": "36em"},
    )  # fmt: skip
    others = ipywidgets.Button(
        description="Draw other pictures", icon="random", layout={"width": "14em"}
    )
    view = ipywidgets.HTML()
    draw = 0

    def redraw(change=None) -> Drawing:
        drawing = report(slider.value, draw)
        view.value = drawing.to_html()
        return drawing

    def draw_others(button) -> None:
        nonlocal draw
        draw += 1
        redraw()

    slider.observe(redraw, "value")
    others.on_click(draw_others)
    first = redraw()
    show_control(ipywidgets.VBox([ipywidgets.HBox([slider, others]), view]), first)
