"""The controls of notebook 05, each a thin skin over a function that works without it."""

import html
import io
from collections.abc import Callable
from pathlib import Path

import ipywidgets
import torch

from utils.corrections import Correction, read_corrections, save_decision
from utils.disk import format_bytes
from utils.drawings import Drawing
from utils.errors import CourseError
from utils.mistakes import rank_mistakes
from utils.pictures import Pictures
from utils.plots import RUN_LABELS
from utils.plots_inspection import caption_pictures
from utils.training import Evaluation
from utils.widgets import make_slider, show_control

SHOWN = 12  # pictures in a gallery


def draw_mistakes(evaluation: Evaluation, pictures: Pictures, least: float = 0.0) -> Drawing:
    """The most confident mistakes of a run, of those that are at least `least` sure."""
    classes = pictures.split.classes
    best = evaluation.logits.softmax(dim=1).max(dim=1)
    found = [row for row in rank_mistakes(evaluation) if best.values[row] >= least]
    rows = found[:SHOWN]
    captions = [
        f"{classes[best.indices[row]]} {best.values[row]:.0%}\nis {classes[evaluation.labels[row]]}"
        for row in rows
    ]
    description = f"{len(rows)} of {len(found)} mistakes that are at least {least:.0%} sure"
    spoken = ", ".join(caption.replace("\n", " ") for caption in captions)
    description += f": {spoken or 'none'}"
    # Six beside each other are as wide as JupyterLab's page on a projector.
    return caption_pictures(pictures.array[rows], captions, description, columns=6, side=132)


def explore_mistakes(evaluations: dict[str, Evaluation], pictures: Pictures) -> None:
    """Choose a run and how sure a mistake has to be; the gallery follows."""
    names = [(RUN_LABELS.get(name, name), name) for name in evaluations]
    run = ipywidgets.Dropdown(options=names, description="run")
    least = make_slider("at least this sure", 0.5, 0.0, 1.0, 0.05, ".0%")
    note, view = ipywidgets.HTML(), ipywidgets.HTML()

    def redraw(change=None) -> Drawing:
        drawing = draw_mistakes(evaluations[run.value], pictures, least.value)
        note.value = html.escape(drawing.description.partition(":")[0])
        view.value = drawing.to_html()
        return drawing

    run.observe(redraw, "value")
    least.observe(redraw, "value")
    first = redraw()
    show_control(ipywidgets.VBox([ipywidgets.HBox([run, least]), note, view]), first)


def draw_doubt(pictures: Pictures, row: int, probabilities: torch.Tensor) -> tuple[Drawing, str]:
    """A training picture, and a sentence with its label and what other heads say about it."""
    classes = pictures.split.classes
    label, said = int(pictures.split.labels[row]), int(probabilities[row].argmax())
    other = f"a head trained without it says {classes[said]}, {probabilities[row, said]:.0%}"
    sentence = f"labelled {classes[label]}; {other}"
    caption = f"labelled {classes[label]}\n{classes[said]} {probabilities[row, said]:.0%}"
    drawing = caption_pictures(pictures.array[[row]], [caption], sentence, columns=1, side=280)
    return drawing, sentence


def review_labels(
    pictures: Pictures, rows: list[int], probabilities: torch.Tensor, files: list[str], table: Path
) -> None:
    """Go through training pictures one by one: keep, relabel or drop.

    Each decision is written to `table` at once; `files` are the names of all pictures in it.
    """
    classes, place = pictures.split.classes, 0
    keep = ipywidgets.Button(description="Keep the label", icon="check")
    drop = ipywidgets.Button(description="Drop the picture", icon="times")
    new = ipywidgets.Dropdown(options=classes, description="it is")
    relabel = ipywidgets.Button(description="Relabel", icon="pencil")
    back, skip = (ipywidgets.Button(description=text) for text in ("Back", "Skip"))
    note, view = ipywidgets.HTML(), ipywidgets.HTML()

    def show(problem: str = "") -> Drawing:
        for control in (keep, drop, new, relabel, skip):
            control.disabled = place == len(rows)
        back.disabled = place == 0
        row = rows[min(place, len(rows) - 1)]
        drawing, sentence = draw_doubt(pictures, row, probabilities)
        decided = read_corrections(table, classes).get(files[row])
        if decided:
            label = f" as {decided.label}" if decided.label else ""
            sentence += f"; decided: {decided.decision}{label}"
        head = f"{place + 1} of {len(rows)}: {sentence}"
        if place == len(rows):
            head = "You have seen them all. Run the next cell."
            drawing = Drawing(drawing.figure, head, photographic=True)
        else:
            labels = probabilities[row].argsort(descending=True).tolist()
            new.value = classes[next(k for k in labels if k != pictures.split.labels[row])]
        note.value = f"<p role='status'>{html.escape(problem or head)}</p>"
        view.value = drawing.to_html() if place < len(rows) else ""
        return drawing

    def decide(correction: Correction | None, step: int = 1) -> None:
        nonlocal place
        problem = ""
        try:
            if correction is not None:
                save_decision(table, classes, files[rows[place]], correction)
            place = min(max(place + step, 0), len(rows))
        except CourseError as error:
            problem = str(error)
        show(problem)

    keep.on_click(lambda button: decide(Correction("keep")))
    drop.on_click(lambda button: decide(Correction("drop")))
    relabel.on_click(lambda button: decide(Correction("relabel", new.value)))
    back.on_click(lambda button: decide(None, -1))
    skip.on_click(lambda button: decide(None))
    first = show()
    buttons = [ipywidgets.HBox(group) for group in ((keep, drop, back, skip), (new, relabel))]
    show_control(ipywidgets.VBox([note, view, *buttons]), first)


def upload_photo(judge: Callable[[io.BytesIO], Drawing], first: Drawing) -> None:
    """A button that takes a picture from this computer; what `judge` draws for it appears below.

    A file that is too large for Jupyter never gets here, and after it the control gets nothing more
    (`make lab` lets 100 MB through, Jupyter on its own 10): all that can be done is to say so
    beforehand, beside the name of what is shown.
    """
    wide = {"width": "14em"}
    upload = ipywidgets.FileUpload(accept="image/*", description="Choose a photo", layout=wide)
    hint = ipywidgets.HTML(
        "If its name does not appear below, your photo is too large for Jupyter: run this cell "
        f"again, or use <code>{judge.__name__}(\"path/to/photo.jpg\")</code> in another."
    )
    note, view = ipywidgets.HTML(), ipywidgets.HTML()

    def show(name: str, answer: str) -> None:
        view.value = answer  # first: a new name beside an old answer would be wrong
        note.value = f"<p role='status'><b>{html.escape(name)}</b></p>"

    def judge_upload(change=None) -> None:
        if not upload.value:
            return
        chosen = upload.value[0]
        file = io.BytesIO(chosen["content"])
        file.name = chosen["name"]
        try:
            answer = judge(file).to_html()
        except CourseError as error:
            answer = f"<p role='alert'>{html.escape(str(error))}</p>"
        show(f"{chosen['name']}, {format_bytes(chosen['size'])}", answer)

    show("a picture of the course", first.to_html())
    upload.observe(judge_upload, "value")
    show_control(ipywidgets.VBox([upload, hint, note, view]), first)
