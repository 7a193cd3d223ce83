"""The house style: a figure with its description in words, colours, markers, names and axes."""

import base64
import html
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

# Okabe and Ito's palette, told apart with every kind of colour vision
# (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#666666"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW)
# One marker and line style beside each colour: for every kind of eye, and for printers.
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
SHOWN_CLASSES = len(COLOURS)  # more than these are "others", in grey
LOOK = Path(__file__).with_name("house.mplstyle")
STYLE = matplotlib.rc_params_from_file(str(LOOK), use_default_template=False)
say_once = cache(print)
styled = matplotlib.rc_context(STYLE)  # a decorator: what a function draws is in the house style
PERCENT = matplotlib.ticker.FuncFormatter(lambda value, _: f"{100 * value:.4g} %")
SHOWN_WIDTH = 110  # pixels on the page for an inch of a figure, which has 160 for sharp screens
WIDEST = 820  # pixels in a control: what JupyterLab leaves of a screen of 1,280


class Drawing:
    """A figure and what it shows in words (the alternative text of the image in a notebook)."""

    def __init__(
        self, figure: Figure | Image.Image, description: str, photographic: bool = False
    ) -> None:
        self.figure = figure
        self.description = description
        self.format = "jpeg" if photographic else "png"  # photographs are ten times smaller

    @property
    def width(self) -> int:
        """Pixels that the image is wide on a page."""
        if isinstance(self.figure, Image.Image):
            return self.figure.width
        return round(self.figure.get_figwidth() * SHOWN_WIDTH)

    def save(self) -> bytes:
        """The image file's bytes."""
        buffer = io.BytesIO()
        quality = {"quality": 85} if self.format == "jpeg" else {}
        if isinstance(self.figure, Image.Image):
            self.figure.save(buffer, format=self.format, **quality)
        else:
            with matplotlib.rc_context(STYLE):
                self.figure.savefig(buffer, format=self.format, pil_kwargs=quality)
        return buffer.getvalue()

    def to_html(self) -> str:
        """The image inside its HTML tag, for a control that changes it."""
        data = base64.b64encode(self.save()).decode()
        text = html.escape(self.description, quote=True)
        wide = min(self.width, WIDEST)
        return f'<img src="data:image/{self.format};base64,{data}" width="{wide}" alt="{text}">'

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        kind = f"image/{self.format}"
        data = {kind: base64.b64encode(self.save()).decode(), "text/plain": self.description}
        return data, {kind: {"alt": self.description, "width": self.width}}


class Style(NamedTuple):
    """How one run, class or line looks in a figure."""

    label: str
    colour: str
    marker: str
    dash: str


def find_styles(names: Sequence[str]) -> list[Style]:
    """A style for each name: a run of the course looks the same in every figure.

    Runs are known by their name or their label; other names get what the runs of all figures
    leave, unless there is no run among these.
    """
    from utils.runs import RUNS  # not above: it imports torch, which most figures need not

    runs = {key: run for name, run in RUNS.items() for key in (name, run.label)}
    taken = list(RUNS.values()) if any(name in runs for name in names) else []
    colours = [colour for colour in COLOURS if colour not in [run.colour for run in taken]]
    markers = [marker for marker in MARKERS if marker not in [run.marker for run in taken]]
    styles, place = [], 0
    for name in names:
        if name in runs:
            run = runs[name]
            dash = DASHES[list(RUNS.values()).index(run) % len(DASHES)]
            styles.append(Style(run.label, run.colour, run.marker, dash))
        else:
            look = (colours[place % len(colours)], markers[place % len(markers)])
            styles.append(Style(str(name), *look, DASHES[(place + len(taken)) % len(DASHES)]))
            place += 1
    return styles


def zip_styles(named: dict) -> list[tuple[Style, Any]]:
    """(style, value) for each named value."""
    return list(zip(find_styles(list(named)), named.values(), strict=True))


def list_class_styles(labels: np.ndarray, names: Sequence[str]) -> list[tuple[np.ndarray, Style]]:
    """(rows, style) for each class to be drawn: the largest have colour and marker, others grey."""
    labels = np.asarray(labels)
    counts = np.bincount(labels, minlength=len(names))
    many = len(names) > SHOWN_CLASSES
    largest = np.argsort(-counts, kind="stable")[: SHOWN_CLASSES - 1] if many else range(len(names))
    chosen = sorted(int(number) for number in largest)
    groups = [
        (labels == number, Style(shorten(names[number]), COLOURS[place], MARKERS[place], "-"))
        for place, number in enumerate(chosen)
    ]
    if many:
        others = Style(f"{len(names) - len(chosen)} other classes", GREY, ".", "-")
        groups.insert(0, (~np.isin(labels, chosen), others))  # first, so that they lie below
    return groups


def make_axes(
    rows: int = 1, columns: int = 1, width: float = 7, height: float = 3.5
) -> tuple[Figure, np.ndarray]:
    """A figure in the house style and its axes as an array [rows, columns]; sizes in inches."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, axes


def shorten(name: str, length: int = 22) -> str:
    """A name that fits into a figure: `a_very_long_class_nam…`."""
    name = " ".join(spell(str(name)).split())
    return name if len(name) <= length else f"{name[: length - 1].rstrip()}…"


@cache
def spell(text: str) -> str:
    """The text, with its number for each letter that the font lacks; says once what that is."""
    known = get_font(findfont("DejaVu Sans")).get_charmap()
    spelled = "".join(c if c.isspace() or ord(c) in known else f"U+{ord(c):X} " for c in text)
    if spelled != text:
        say_once("Figures show letters that their font lacks as numbers: U+732B is 猫 in Unicode.")
    return spelled.strip()


def darken(colour: str) -> tuple[float, ...]:
    """The colour as ink: text in the palette's light colours cannot be read on white."""
    return tuple(0.7 * part for part in matplotlib.colors.to_rgb(colour))


def format_percent(share: float) -> str:
    """`97.3 %`, and `97 %` where there is nothing behind the point."""
    return f"{round(100 * share, 1):g} %"


def format_number(value: float) -> str:
    """Three digits, and no power of ten where people say thousands."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


class PlainLogFormatter(matplotlib.ticker.LogFormatter):
    """Names the ticks that matplotlib would name, and writes 0.6 where it would write 6e-01."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return write_number(x) if super().__call__(x, pos) else ""


def write_number(value: float, place: int | None = None) -> str:
    """`16,384` and `0.00001`, for a tick of an axis."""
    if value >= 1:
        return f"{value:,.12g}"
    return np.format_float_positional(value, 6, fractional=False, trim="-")


def use_log_scale(axes: Axes, letter: str) -> None:
    """A log scale for x or y that its label names, with numbers as people write them.

    They are written also where the axis holds no two powers of ten.
    """
    axis = {"x": axes.xaxis, "y": axes.yaxis}[letter]
    axes.set(**{f"{letter}scale": "log"})
    axis.set_label_text(f"{axis.get_label_text()} (log scale)")
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(write_number))
    axis.set_minor_formatter(PlainLogFormatter(minor_thresholds=(1.5, 0.4)))


def note(axis: Axes, text: str, point: tuple, offset: tuple = (0, 0), **look) -> None:
    """Text of 11 points beside a point of the axis; the offset is in points."""
    look = {"xytext": offset, "textcoords": "offset points", "fontsize": 11, **look}
    axis.annotate(text, point, annotation_clip=False, **look)


def label_ends(axis: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write (x, y, text, colour) at the right ends of lines, moved apart where they are close.

    Call it when all else is drawn: the limits of the axis stay as they are then.
    """
    axis.set_ylim(axis.get_ylim())
    to_axis = axis.transData + axis.transAxes.inverted()
    gap = 0.19 / (axis.figure.bbox.height / axis.figure.dpi - 1)  # of the axis: a line of 11 pt
    placed = sorted((to_axis.transform((x, y))[1], x, text, colour) for x, y, text, colour in ends)
    heights: list[float] = []
    for height, *_ in placed:
        heights.append(max(height, heights[-1] + gap) if heights else height)
    excess = np.mean([new - old for new, (old, *_) in zip(heights, placed, strict=True)] or [0])
    right = max((end[0] for end in ends), default=0)
    for height, (_, _, text, colour) in zip(heights, placed, strict=True):
        look = {"va": "center", "color": darken(colour), "xycoords": ("data", "axes fraction")}
        note(axis, text, (right, height - excess), (8, 0), **look)


def draw_box(
    axis: Axes, centre: tuple[float, float], size: tuple[float, float], text: str, colour: str
) -> None:
    """A tinted box around its text; `centre` is (x, y), `size` is (width, height)."""
    (x, y), (width, height) = centre, size
    box = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=(*matplotlib.colors.to_rgb(colour), 0.25),
        edgecolor=colour,
        linewidth=1.2,
    )
    axis.add_patch(box)
    axis.text(x, y, text, ha="center", va="center", fontsize=11)


def draw_arrow(axis: Axes, points: Sequence[tuple[float, float]], colour: str = "black") -> None:
    """A line through the points with a head at the last one."""
    across, up = zip(*points[:-1], strict=True)
    axis.plot(across, up, color=colour, linewidth=1.6, solid_joinstyle="round")
    head = FancyArrowPatch(points[-2], points[-1], arrowstyle="-|>", shrinkA=0, shrinkB=0)
    head.set(color=colour, linewidth=1.6, mutation_scale=12)
    axis.add_patch(head)


def hide_axes(axis: Axes) -> None:
    """No frame and no ticks: for images and drawings, whose titles stay."""
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
