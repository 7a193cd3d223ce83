"""Every interactive control: a thin skin over a function that works without it."""

import base64

import ipywidgets
import torch
from IPython.display import display

from utils.augmentation import Augmentation, denormalize, draw_views
from utils.pictures import Pictures
from utils.plots import Drawing, tile_pictures
from utils.weights import Preprocessing


def show_control(box: ipywidgets.Widget, first: Drawing) -> None:
    """Display a control together with a picture of its first state.

    A live notebook shows the control; GitHub, a printout or a plain viewer show the picture.
    """
    kind = f"image/{first.format}"
    data = box._repr_mimebundle_()
    data |= {kind: base64.b64encode(first.save()).decode(), "text/plain": first.description}
    display(data, metadata={kind: {"alt": first.description}}, raw=True)


def make_slider(description: str, value, low, high, step, form: str) -> ipywidgets.Widget:
    """A slider with its name in full."""
    kind = ipywidgets.IntSlider if isinstance(value, int) else ipywidgets.FloatSlider
    return kind(
        value=value, min=low, max=high, step=step, description=description, readout_format=form,
        style={"description_width": "9em"}, layout={"width": "26em"},
    )  # fmt: skip


def draw_eight_views(
    pictures: Pictures, row: int, preprocessing: Preprocessing, recipe: Augmentation
) -> Drawing:
    """One picture and eight random views of it.

    The same random numbers each time, so that the views follow the recipe and nothing else.
    """
    images, _ = pictures.load([row])
    generator = torch.Generator().manual_seed(0)
    views = draw_views(images.expand(8, -1, -1, -1), preprocessing, recipe, generator)
    shown = [images[0] / 255, *denormalize(views, preprocessing)]
    description = (
        f"Picture {row} and eight random views: rotation up to {recipe.rotation:.0f} degrees, "
        f"crops from {recipe.smallest_crop:.0%} of the side, mirrored {recipe.flip:.0%} of the "
        f"times, brightness ± {recipe.brightness:.0%}"
    )
    return tile_pictures(shown, description, columns=9, side=84)


def explore_augmentation(pictures: Pictures, preprocessing: Preprocessing, row: int = 0) -> None:
    """Sliders for the recipe; eight views of a picture follow them."""
    default = Augmentation()
    picture = make_slider("picture", row, 0, len(pictures) - 1, 1, "d")
    rotation = make_slider("rotation (°)", default.rotation, 0.0, 90.0, 1.0, ".0f")
    crop = make_slider("smallest crop", default.smallest_crop, 0.1, 1.0, 0.05, ".0%")
    flip = make_slider("flip probability", default.flip, 0.0, 1.0, 0.1, ".0%")
    brightness = make_slider("brightness (±)", default.brightness, 0.0, 0.9, 0.05, ".0%")
    view = ipywidgets.HTML()

    def redraw(change=None) -> Drawing:
        recipe = Augmentation(rotation.value, crop.value, flip.value, brightness.value)
        drawing = draw_eight_views(pictures, picture.value, preprocessing, recipe)
        view.value = drawing.to_html()
        return drawing

    sliders = [picture, rotation, crop, flip, brightness]
    for slider in sliders:
        slider.observe(redraw, "value")
    first = redraw()
    rows = [ipywidgets.HBox(sliders[:2]), ipywidgets.HBox(sliders[2:4]), sliders[4], view]
    show_control(ipywidgets.VBox(rows), first)
