"""Controls of notebook 05: the most confident mistakes, and labels to be reviewed."""

import html
from collections.abc import Sequence

import ipywidgets
import torch

from utils.plots import Drawing, show_images
from utils.plots.house import find_styles
from utils.widgets import explore, make_control, show_box

SHOWN = 12  # images in a gallery


def draw_mistakes(
    logits: torch.Tensor,
    labels: torch.Tensor,
    images: Sequence,
    class_names: Sequence[str],
    lowest_confidence: float = 0.0,
) -> Drawing:
    """The mistakes that are at least so confident, the most confident first."""
    confidence, answers = logits.softmax(dim=1).max(dim=1)
    wrong = ((answers != labels) & (confidence >= lowest_confidence)).nonzero().flatten()
    rows = wrong[confidence[wrong].argsort(descending=True, stable=True)][:SHOWN].tolist()
    names = [(class_names[answers[row]], class_names[labels[row]]) for row in rows]
    titles = [
        f"{answer}, {100 * confidence[row]:.0f} %\ntrue: {label}"
        for row, (answer, label) in zip(rows, names, strict=True)
    ]
    lowest = f"{100 * lowest_confidence:.0f} %"
    title = f"{len(wrong)} of {len(labels)} wrong and at least {lowest} confident"
    title += f", {SHOWN} of them here" if len(wrong) > SHOWN else ""
    return show_images([images[row] for row in rows], titles, columns=6, title=title)


def explore_mistakes(
    tests: dict[str, tuple[torch.Tensor, torch.Tensor]],
    images: Sequence,
    class_names: Sequence[str],
) -> None:
    """Choose a run and how confident a mistake has to be; the gallery follows.

    `tests` are (logits [N, classes], labels [N]) of each run, in the order of `images`.
    """
    runs = {style.label: name for style, name in zip(find_styles(list(tests)), tests, strict=True)}

    def draw(run: str, lowest_confidence: float) -> Drawing:
        return draw_mistakes(*tests[run], images, class_names, lowest_confidence)

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
    rows, decisions, place = [int(row) for row in rows], {}, 0
    buttons = {
        name: ipywidgets.Button(description=name, icon=icon)
        for name, icon in (("Keep", "check"), ("Drop", "times"), ("Back", ""), ("Skip", ""))
    }
    change = ipywidgets.Button(description="Change the label", icon="pencil")
    new = make_control("it_is", list(class_names))
    note, view = ipywidgets.HTML(), ipywidgets.HTML()

    def show() -> Drawing:
        for control in (*buttons.values(), change, new):
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
    change.on_click(lambda button: decide(new.value))
    first = show()
    bars = [ipywidgets.HBox(list(buttons.values())), ipywidgets.HBox([new, change])]
    show_box(ipywidgets.VBox([note, view, *bars]), first)
    return decisions
