"""Controls of notebook 05: the most confident mistakes, and labels to be reviewed."""

import html
from collections.abc import Sequence

import ipywidgets
import torch

from utils.plots import Drawing, show_images
from utils.plots.house import find_styles
from utils.widgets import explore, make_control, show_box

SHOWN = 12  # images in a gallery
CHANGE = "Change the label"


def explore_mistakes(
    tests: dict[str, tuple[torch.Tensor, torch.Tensor]],
    images: Sequence,
    class_names: Sequence[str],
) -> None:
    """Choose a run and how confident a mistake has to be; the most confident ones follow.

    `tests` are (logits [N, classes], labels [N]) of each run, in the order of `images`.
    """

    def draw(run: str, lowest_confidence: float) -> Drawing:
        logits, labels = tests[run]
        confidence, answers = logits.softmax(dim=1).max(dim=1)
        wrong = ((answers != labels) & (confidence >= lowest_confidence)).nonzero().flatten()
        rows = wrong[confidence[wrong].argsort(descending=True, stable=True)][:SHOWN].tolist()
        titles = [
            f"{class_names[int(answers[row])]}, {100 * confidence[row]:.0f} %\n"
            f"true: {class_names[int(labels[row])]}"
            for row in rows
        ]
        name, lowest = find_styles([run])[0].label, f"{100 * lowest_confidence:.0f} %"
        title = f"{name}: {len(wrong)} of {len(labels)} wrong and at least {lowest} confident"
        title += f", {SHOWN} of them here" if len(wrong) > SHOWN else ""
        return show_images([images[row] for row in rows], titles, columns=6, title=title)

    runs = {style.label: name for style, name in zip(find_styles(list(tests)), tests, strict=True)}
    explore(draw, run=runs, lowest_confidence=(0.0, 1.0, 0.5))


def review_labels(
    images: Sequence,
    labels: Sequence[int],
    probabilities: torch.Tensor,
    rows: Sequence[int],
    class_names: Sequence[str],
) -> dict[int, str]:
    """Go through training images one by one: keep the label, choose another, or drop the image.

    `probabilities` [N, classes] come from networks that did not train on the image. Returns at once
    a dict that fills with each decision: row → "keep", "drop" or the name of a class.
    """
    rows, decisions, place = [int(row) for row in rows], dict[int, str](), 0
    icons = {"Keep": "check", "Drop": "times", "Back": "", "Skip": "", CHANGE: "pencil"}
    buttons = {name: ipywidgets.Button(description=name, icon=icon) for name, icon in icons.items()}
    new = make_control("it_is", list(class_names))
    note, view = ipywidgets.HTML(), ipywidgets.HTML()

    def show() -> Drawing:
        for control in (*buttons.values(), new):
            control.disabled = place == len(rows)
        buttons["Back"].disabled = place == 0
        row = rows[min(place, len(rows) - 1)]
        label = class_names[int(labels[row])]
        ranked = [class_names[k] for k in probabilities[row].argsort(descending=True)]
        new.value = next(name for name in ranked if name != label)
        caption = f"label: {label}\nanswer: {ranked[0]}, {100 * probabilities[row].max():.0f} %"
        text = f"{place + 1} of {len(rows)}"
        text += f", decided: {decisions[row]}" if row in decisions else ""
        drawing = show_images([images[row]], [caption], title=text)
        if place == len(rows):
            text = f"You have seen them all: {len(decisions)} decided. Run the next cell."
        note.value = f"<p role='status'>{html.escape(text)}</p>"
        view.value = drawing.to_html() if place < len(rows) else ""
        return drawing

    def decide(decision: str | None, step: int = 1) -> None:
        nonlocal place
        if decision:
            decisions[rows[place]] = decision
        place = min(max(place + step, 0), len(rows))
        show()

    buttons["Keep"].on_click(lambda button: decide("keep"))
    buttons["Drop"].on_click(lambda button: decide("drop"))
    buttons["Back"].on_click(lambda button: decide(None, -1))
    buttons["Skip"].on_click(lambda button: decide(None))
    buttons[CHANGE].on_click(lambda button: decide(new.value))
    first = show()
    *decided, change = buttons.values()
    bars = [ipywidgets.HBox(decided), ipywidgets.HBox([new, change])]
    show_box(ipywidgets.VBox([note, view, *bars]), first)
    return decisions
