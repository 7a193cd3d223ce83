"""Pictures and figures as a notebook shows them, each with a description in words."""

import base64
import html
import io
from collections import Counter
from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito's palette, told apart with every kind of colour vision
# (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#666666"
CLASS_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW, GREY)
# One a class, line or group, beside its colour: for every kind of eye, and for printers.
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
HATCHES = ("", "///", "...", "xxx")
STYLE = {
    "axes.prop_cycle": matplotlib.cycler(color=CLASS_COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.grid": False,
    "figure.dpi": 100,
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.facecolor": "white",
}


class Drawing:
    """A figure and what it shows in words (the alternative text of the picture in a notebook)."""

    def __init__(
        self, figure: Figure | Image.Image, description: str, photographic: bool = False
    ) -> None:
        self.figure = figure
        self.description = description
        self.format = "jpeg" if photographic else "png"  # a grid of pictures is ten times smaller

    def save(self) -> bytes:
        """The picture file's bytes."""
        buffer = io.BytesIO()
        quality = {"quality": 88} if self.format == "jpeg" else {}
        if isinstance(self.figure, Image.Image):
            self.figure.save(buffer, format=self.format, **quality)
        else:
            with matplotlib.rc_context(STYLE):
                self.figure.savefig(
                    buffer, format=self.format, bbox_inches="tight", pil_kwargs=quality
                )
        return buffer.getvalue()

    def to_html(self) -> str:
        """The picture inside its HTML tag, for a control that changes it."""
        data = base64.b64encode(self.save()).decode()
        text = html.escape(self.description, quote=True)
        return f'<img src="data:image/{self.format};base64,{data}" alt="{text}">'

    def _repr_mimebundle_(self, include=None, exclude=None):
        kind = f"image/{self.format}"
        data = {kind: self.save(), "text/plain": self.description}
        return data, {kind: {"alt": self.description}}


def make_axes(
    rows: int = 1, columns: int = 1, width: float = 7, height: float = 3.5
) -> tuple[Figure, np.ndarray]:
    """A figure in the course's style and its axes as an array [rows, columns]; sizes in inches."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, axes


def to_pixels(picture) -> np.ndarray:
    """A picture as matplotlib wants it: [height, width, 3], uint8 or 0..1."""
    if isinstance(picture, torch.Tensor):
        picture = picture.detach().cpu().numpy()
    picture = np.asarray(picture)
    if picture.ndim == 3 and picture.shape[0] == 3 and picture.shape[-1] != 3:
        picture = picture.transpose(1, 2, 0)
    return picture if picture.dtype == np.uint8 else picture.clip(0, 1)


def show_pictures(
    pictures: Sequence,
    titles: Sequence[str] = (),
    columns: int = 8,
    title: str = "",
    correct: Sequence[bool] = (),
    size: float = 1.15,
) -> Drawing:
    """A grid of pictures (uint8 or float in 0..1, channels first or last), `size` inches each.

    `correct` marks each title with ✔ or ✘, and with a colour.
    """
    rows = -(-len(pictures) // columns)
    high = size * (1.22 if len(titles) else 1.04)
    figure, axes = make_axes(rows, columns, columns * size, rows * high + (0.3 if title else 0))
    for axis in axes.flat:
        axis.axis("off")
    for index, (axis, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        axis.imshow(to_pixels(picture))
        if len(titles):
            mark, colour = "", "black"
            if len(correct):
                mark, colour = ("✔ ", GREEN) if correct[index] else ("✘ ", RED)
            axis.set_title(f"{mark}{titles[index]}", fontsize=8, color=colour, pad=2)
    if title:
        figure.suptitle(title, fontsize=11)
    words = [str(name) for name in titles]
    if len(correct):
        words = [f"{w}{'' if c else ' (wrong)'}" for w, c in zip(words, correct, strict=False)]
    if len(words) > 24:  # a long list is no description: how many of each
        words = [f"{count} {name}" for name, count in Counter(words).items()]
    named = f": {', '.join(words)}" if 0 < len(words) <= 24 else ""
    description = f"{title or 'Pictures'} ({len(pictures)} in {rows} rows){named}"
    return Drawing(figure, description, photographic=True)


def tile_pictures(
    pictures: Sequence, description: str, columns: int = 8, side: int = 112
) -> Drawing:
    """Pictures side by side, `side` pixels each: a plain grid that takes milliseconds to make."""
    gap = 4
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (side + gap) - gap, rows * (side + gap) - gap), "white")
    for index, picture in enumerate(pictures):
        pixels = to_pixels(picture)
        if pixels.dtype != np.uint8:
            pixels = (pixels * 255).round().astype(np.uint8)
        tile = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
        row, column = divmod(index, columns)
        sheet.paste(tile, (column * (side + gap), row * (side + gap)))
    return Drawing(sheet, description, photographic=True)


def colour_of(number: int) -> str:
    """The colour of a class by its number."""
    return CLASS_COLOURS[number % len(CLASS_COLOURS)]


def marker_of(number: int) -> str:
    """The marker of a class or line by its number."""
    return MARKERS[number % len(MARKERS)]


def hatch_of(number: int) -> str:
    """The pattern of a group of bars by its number."""
    return HATCHES[number % len(HATCHES)]
