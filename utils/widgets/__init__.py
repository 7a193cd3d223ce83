"""Controls: sliders, lists and buttons around a function that draws, and works without them."""

import html
import io
from collections.abc import Callable

import ipywidgets
from IPython.display import display
from traitlets import Int

from utils.plots import Drawing
from utils.settings import CourseError

VIEW = "application/vnd.jupyter.widget-view+json"
WIDE = {"width": "24em"}
NAMED = {"description_width": "10em"}


def explore(draw: Callable[..., Drawing], **controls) -> None:
    """Show `draw(**values)` under a control for each keyword, and again whenever one changes.

    A control is made from (low, high, start): a slider, of whole numbers where all three are;
    a list: values to choose from, the first at the start; a dict: the same, by name; "button": it
    passes on how often it was pressed. GitHub and printouts show the first state as an image.
    """
    widgets = {name: make_control(name, values) for name, values in controls.items()}
    rows = [ipywidgets.HBox(list(widgets.values()), layout={"flex_flow": "row wrap"})]
    show_controls(draw, widgets, rows)


def make_control(name: str, values: object) -> ipywidgets.Widget:
    """A control of `explore` with its name in words."""
    label = name.replace("_", " ")
    if values == "button":
        button = ipywidgets.Button(description=label, icon="refresh", layout={"width": "15em"})
        button.add_traits(value=Int(0))
        button.on_click(lambda pressed: setattr(pressed, "value", pressed.value + 1))
        return button
    look: dict[str, object] = {"style": NAMED, "layout": WIDE}
    if isinstance(values, tuple):
        low, high, start = values
        if all(isinstance(value, int) for value in values):
            return ipywidgets.IntSlider(value=start, min=low, max=high, description=label, **look)
        form = ".0%" if high <= 1 and low >= 0 else ".4g"
        look |= {"step": round((high - low) / 100, 10), "readout_format": form}
        return ipywidgets.FloatSlider(value=start, min=low, max=high, description=label, **look)
    if isinstance(values, list) and all(isinstance(value, (int, float)) for value in values):
        return ipywidgets.SelectionSlider(options=values, description=label, **look)
    options = list(values.items()) if isinstance(values, dict) else values
    return ipywidgets.Dropdown(options=options, description=label, **look)


def show_controls(
    draw: Callable[..., Drawing], widgets: dict[str, ipywidgets.Widget], rows: list
) -> None:
    """Display `rows` of controls above what `draw` makes of their values, whenever one changes."""
    view = ipywidgets.HTML()

    def redraw(change=None) -> None:
        try:
            answer = draw(**read_values()).to_html()
        except Exception as error:  # a control has no other place to say it
            kind = "" if isinstance(error, CourseError) else f"{type(error).__name__}: "
            answer = f"<p role='alert'>{html.escape(f'{kind}{error}')}</p>"
        view.value = answer

    def read_values() -> dict:
        return {name: widget.value for name, widget in widgets.items()}

    first = draw(**read_values())
    view.value = first.to_html()
    for widget in widgets.values():
        widget.observe(redraw, "value")
    show_box(ipywidgets.VBox([*rows, view]), first)


def show_box(box: ipywidgets.Widget, first: Drawing) -> None:
    """Display a control together with an image of its first state.

    A live notebook shows the control; GitHub, a printout or a plain viewer show the image. The
    message is put together here, since version 7 of ipywidgets (Colab) and 8 do it differently.
    """
    data, metadata = first._repr_mimebundle_()
    data[VIEW] = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display(data, metadata=metadata, raw=True)


def read_uploads(upload: ipywidgets.FileUpload) -> list[tuple[str, bytes]]:
    """(name, content) of each file: `value` is a dict by name in ipywidgets 7, a tuple in 8."""
    if isinstance(upload.value, dict):
        return [(name, bytes(file["content"])) for name, file in upload.value.items()]
    return [(file["name"], bytes(file["content"])) for file in upload.value]


def upload_image(judge: Callable[[io.BytesIO], Drawing], first: Drawing) -> None:
    """A button that takes an image from this computer; what `judge` draws of it appears below.

    A file that is too large for Jupyter never gets here, and after it the control gets nothing
    more: all that can be done is to say so beforehand, beside the name of what is shown.
    """
    upload = ipywidgets.FileUpload(
        accept="image/*", description="Choose an image", layout={"width": "15em"}
    )
    call = html.escape(f'{judge.__name__}("path/to/image.jpg")')
    hint = ipywidgets.HTML(
        "If its name does not appear below, the file is too large for Jupyter: run this cell "
        f"again, or use <code>{call}</code> in another."
    )
    note, view = ipywidgets.HTML(), ipywidgets.HTML()

    def show(name: str, answer: str) -> None:
        view.value = answer  # first: a new name beside an old answer would be wrong
        note.value = f"<p role='status'><b>{html.escape(name)}</b></p>"

    def judge_upload(change=None) -> None:
        for name, content in read_uploads(upload)[-1:]:
            file = io.BytesIO(content)
            file.name = name
            try:
                answer = judge(file).to_html()
            except CourseError as error:
                answer = f"<p role='alert'>{html.escape(str(error))}</p>"
            show(f"{name}, {len(content):,} bytes", answer)

    show("an image of the course", first.to_html())
    upload.observe(judge_upload, "value")
    show_box(ipywidgets.VBox([upload, hint, note, view]), first)
