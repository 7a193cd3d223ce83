"""Every figure of the course. A figure is given numbers and images, and computes nothing.

Each function returns a `Drawing`: a figure with a description in words, which a notebook shows
as an image and a screen reader reads out.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np

from utils.files import count
from utils.plots import house
from utils.plots.house import BLUE, GREY, ORANGE, PERCENT, Drawing, format_percent, styled
from utils.plots.images import plot_paired_table, show_images

__all__ = ["Drawing", "plot_paired_table", "show_images"]  # what notebooks use of the other rooms


@styled
def plot_history(histories: dict[str, dict], title: str = "") -> Drawing:
    """Loss and accuracy by epoch: training dashed, validation solid, colour and marker by run.

    Each history has the lists that `fit` returns; the last value stands at each line's end.
    """
    figure, axes = house.make_axes(1, 2, 9, 3.4 + 0.5 * len(histories))
    for axis, quantity in zip(axes[0], ("loss", "accuracy"), strict=True):
        ends = []
        write = format_percent if quantity == "accuracy" else "{:.2f}".format
        for style, history in house.zip_styles(histories):
            for part, dash in (("train", "--"), ("validation", "-")):
                values = history[f"{part}_{quantity}"]
                epochs = range(1, len(values) + 1)
                name = "training" if part == "train" else part
                label = f"{style.label}, {name}" if style.label else name
                look = {"color": style.colour, "marker": style.marker, "markersize": 5}
                axis.plot(epochs, values, dash, label=label, **look)
                if len(values):
                    ends.append((epochs[-1], values[-1], write(values[-1]), style.colour))
        axis.set(xlabel="epoch", title=quantity)
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(8, integer=True, min_n_ticks=1))
        house.label_ends(axis, ends)
    axes[0, 1].yaxis.set_major_formatter(PERCENT)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2)
    if title:
        figure.suptitle(title)
    spoken = [
        f"{style.label or 'run'} ends after {count(len(history['train_loss']), 'epoch')} at "
        f"training loss {history['train_loss'][-1]:.2f}, validation loss "
        f"{history['validation_loss'][-1]:.2f}, training accuracy "
        f"{format_percent(history['train_accuracy'][-1])}, validation accuracy "
        f"{format_percent(history['validation_accuracy'][-1])}"
        for style, history in house.zip_styles(histories)
        if history["validation_accuracy"]
    ]
    return Drawing(figure, f"{title or 'Loss and accuracy by epoch'}: {'; '.join(spoken)}")


@styled
def plot_bars(
    values: dict[str, float],
    label: str,
    title: str = "",
    form: str = "{:,.0f}",
    highlight: str = "",
) -> Drawing:
    """Horizontal bars of named numbers in one colour, but for the one that is talked about."""
    figure, axes = house.make_axes(width=7.5, height=1.2 + 0.36 * len(values))
    axis = axes[0, 0]
    names = [house.shorten(name, 40) for name in values]
    colours = [ORANGE if name == highlight else BLUE for name in values]
    bars = axis.barh(range(len(names)), list(values.values()), 0.7, color=colours)
    written = [form.format(value).replace("%", " %") for value in values.values()]
    axis.bar_label(bars, written, padding=4, fontsize=11)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.set(xlabel=label, title=title)
    if "%" in form:
        axis.xaxis.set_major_formatter(PERCENT)
    else:
        axis.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.12g}"))
    axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, integer=".0f" in form))
    spoken = ", ".join(f"{name} {value}" for name, value in zip(names, written, strict=True))
    return Drawing(figure, f"{title or label}: {spoken}")


@styled
def plot_dots(
    groups: dict[str, dict[str, float]], label: str, title: str = "", log: bool = True
) -> Drawing:
    """A dot for each number, `groups[group][name]`: a row for each name, a colour for each group.

    For numbers on a log scale, where the length of a bar would mean nothing.
    """
    names = list(next(iter(groups.values())))
    figure, axes = house.make_axes(width=7.5, height=1.6 + 0.36 * len(names))
    axis = axes[0, 0]
    for style, values in house.zip_styles(groups):
        numbers = [values[name] for name in names]
        look = {"color": style.colour, "marker": style.marker, "markersize": 9}
        axis.plot(numbers, range(len(names)), linestyle="", label=style.label, **look)
    axis.set_yticks(range(len(names)), [house.shorten(name, 30) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(axis="y", color="0.85")
    axis.set_axisbelow(True)
    axis.set(xlabel=label, title=title)
    if log:
        house.use_log_scale(axis, "x")
    axis.margins(x=0.1)
    if len(groups) > 1:
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    spoken = "; ".join(
        f"{group}: " + ", ".join(f"{name} {house.format_number(values[name])}" for name in names)
        for group, values in groups.items()
    )
    return Drawing(figure, f"{title or label}. {spoken}")


@styled
def plot_lines(
    lines: dict[str, tuple],
    x_label: str,
    y_label: str,
    title: str = "",
    log: str = "",
    percent: bool = True,
) -> Drawing:
    """Named lines: (x, y) or (x, y, low, high) with a band; `log` names the axes on a log scale."""
    figure, axes = house.make_axes(width=7.5, height=4)
    axis = axes[0, 0]
    write = format_percent if percent else house.format_number
    spoken = []
    for style, (x, y, *band) in house.zip_styles(lines):
        marker = style.marker if len(x) <= 40 else ""
        look = {"color": style.colour, "ls": style.dash, "marker": marker, "markersize": 5}
        axis.plot(x, y, label=style.label, **look)
        if band:
            axis.fill_between(x, *band, color=style.colour, alpha=0.18, lw=0)
        spoken.append(f"{style.label} from {write(y[0])} to {write(y[-1])}")
    axis.set(xlabel=x_label, ylabel=y_label, title=title)
    for letter in log:
        house.use_log_scale(axis, letter)
    if "x" not in log and all(isinstance(x, int) for line in lines.values() for x in line[0]):
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(8, integer=True))
    if percent:
        axis.yaxis.set_major_formatter(PERCENT)
    if len(lines) > 1:
        axis.legend()
    return Drawing(figure, f"{title or y_label} by {x_label}: {'; '.join(spoken)}")


@styled
def plot_repeats(
    values: dict[str, Sequence[float]],
    label: str,
    title: str = "",
    percent: bool = False,
    threshold: float | None = None,
) -> Drawing:
    """A row of dots for each name: the same thing measured again and again, or of many images.

    A `threshold` is marked, and the words say which share of each row lies beyond it.
    """
    figure, axes = house.make_axes(width=7.5, height=1.4 + 0.5 * len(values))
    axis = axes[0, 0]
    write = format_percent if percent else house.format_number
    names, spoken = [], []
    for row, (style, numbers) in enumerate(house.zip_styles(values)):
        names.append(house.shorten(style.label, 30))
        numbers = np.asarray(numbers, dtype=float)
        # Side by side, since equal numbers would lie on one another.
        places = row + np.linspace(-0.25, 0.25, len(numbers)) * (len(numbers) > 1)
        look = {"markersize": 7 if len(numbers) <= 40 else 4, "alpha": 0.75}
        axis.plot(numbers, places, style.marker, color=style.colour, **look)
        text = f"{style.label} from {write(numbers.min())} to {write(numbers.max())}"
        if threshold is not None:
            text += f", {format_percent(float((numbers > threshold).mean()))} beyond"
        spoken.append(text)
    if threshold is not None:
        axis.axvline(threshold, color="black", lw=1.3, ls="--")
        house.note(axis, "threshold", (threshold, -0.5), (5, 0))
        title = title or f"Threshold {write(threshold)}"
    axis.set_yticks(range(len(values)), names)
    axis.set(xlabel=label, title=title, ylim=(len(values) - 0.5, -0.75))
    axis.margins(x=0.1)
    if percent:
        axis.xaxis.set_major_formatter(PERCENT)
    return Drawing(figure, f"{title or label}: {'; '.join(spoken)}")


@styled
def plot_intervals(
    rows: dict[str, tuple], label: str = "accuracy", title: str = "", chance: float | None = None
) -> Drawing:
    """A dot with its 95 % interval for each name: (correct, seen), or (value, low, high) in 0..1.

    `chance` is marked by a dotted line, and then belongs to what is seen of the axis.
    """
    from utils.claims import find_interval  # not above: it imports torch

    figure, axes = house.make_axes(width=7.5, height=1.2 + 0.5 * len(rows) + 0.3 * bool(title))
    axis = axes[0, 0]
    names, spoken = [], []
    for place, (style, row) in enumerate(house.zip_styles(rows)):
        names.append(house.shorten(style.label, 40))
        value, low, high = row if len(row) == 3 else (row[0] / row[1], *find_interval(*row))
        error = [[max(0, value - low)], [max(0, high - value)]]
        axis.errorbar(value, place, xerr=error, fmt="o", color=BLUE, markersize=9, capsize=5)
        house.note(axis, format_percent(value), (value, place), (0, 9), ha="center")
        counted = f", {row[0]:,} of {row[1]:,}" if len(row) == 2 else ""
        interval = f"{format_percent(low)} to {format_percent(high)}"
        spoken.append(f"{style.label} {format_percent(value)} ({interval}{counted})")
    if chance is not None:
        axis.axvline(chance, color="black", ls=":", lw=1.5)
        house.note(axis, " chance", (chance, len(rows) - 0.55))
        spoken.append(f"chance {format_percent(chance)}")
    axis.set_yticks(range(len(rows)), names)
    axis.set_ylim(len(rows) - 0.4, -0.8)
    axis.margins(x=0.08)
    axis.xaxis.set_major_formatter(PERCENT)
    axis.set(xlabel=f"{label}, with its 95 % interval", title=title)
    return Drawing(figure, f"{title or label}, with 95 % interval: {'; '.join(spoken)}")


@styled
def plot_comparison(runs: Sequence) -> Drawing:
    """Test accuracy with its interval against seconds of training, a point for each `runs.Run`."""
    figure, axes = house.make_axes(width=7.5, height=4)
    axis = axes[0, 0]
    spoken = []
    for style, run in zip(house.find_styles([run.run for run in runs]), runs, strict=True):
        (low, high), accuracy, seconds = run.interval, run.test_accuracy, run.seconds
        error = [[max(0, accuracy - low)], [max(0, high - accuracy)]]
        look = {"color": style.colour, "marker": style.marker, "markersize": 9, "capsize": 5}
        axis.errorbar(seconds, accuracy, error, **look)
        text = f"{format_percent(accuracy)} in {house.format_number(seconds)} s"
        look = {"va": "top", "color": house.darken(style.colour)}
        is_first = len(runs) > 1 and seconds == min(other.seconds for other in runs)
        # The quickest one has room at its left; at its right the next one's words begin.
        look |= {"ha": "right"} if is_first else {}
        away = (-10 if is_first else 10, -6)
        house.note(axis, f"{style.label}\n{text}", (seconds, accuracy), away, **look)
        interval = f"{format_percent(low)} to {format_percent(high)}"
        spoken.append(f"{style.label} {text} (95 % interval {interval})")
    axis.set(xlabel="seconds of training", ylabel="test accuracy")
    house.use_log_scale(axis, "x")
    axis.margins(x=0.45, y=0.2)
    axis.set_ylim(top=min(1.01, axis.get_ylim()[1]))
    axis.yaxis.set_major_formatter(PERCENT)
    axis.set_title("Test accuracy, with its 95 % interval, against time")
    return Drawing(figure, f"Test accuracy against seconds of training: {'; '.join(spoken)}")


BOXES = (  # name, detail, notebook
    ("pretrained network", "knows the 1,000\nclasses of ImageNet", 3),
    ("new head", "one output for each\nof your classes", 3),
    ("train the head", "the rest is frozen:\nit stays as it is", 3),
    ("unfreeze (optional)", "train the rest, too,\nwith small steps", 4),
)
BESIDE = (("the images: to train, to validate, to test", 1), ("for comparison: from scratch", 2))


@styled
def plot_four_boxes(current: int | None = None) -> Drawing:
    """Transfer learning in four boxes, each with the notebook that does it.

    What notebook `current` (1 to 4) does is coloured; 01 and 02 stand below, beside the way.
    """
    figure, axes = house.make_axes(width=9, height=2.7)
    axis = axes[0, 0]
    axis.set(xlim=(0, 18), ylim=(-1.5, 3.6))
    house.hide_axes(axis)
    spoken = []
    for place, (name, detail, notebook) in enumerate(BOXES):
        middle = 2.1 + 4.6 * place
        colour = ORANGE if notebook == current else GREY
        house.draw_box(axis, (middle, 2), (3.9, 2.9), "", colour)
        axis.text(middle, 2.95, name, ha="center", va="center", weight="bold")
        axis.text(middle, 1.95, detail, ha="center", va="center", fontsize=11)
        axis.text(middle, 0.9, f"notebook {notebook:02}", ha="center", va="center", fontsize=11)
        if place:
            house.draw_arrow(axis, [(middle - 2.6, 2), (middle - 2, 2)])
        spoken.append(f"{name} (notebook {notebook:02})")
    for place, (name, notebook) in enumerate(BESIDE):
        colour = ORANGE if notebook == current else GREY
        middle = 4.4 + 9.2 * place
        house.draw_box(axis, (middle, -0.8), (8.5, 1), f"{name} · notebook {notebook:02}", colour)
    here = f". You are in notebook {current:02}" if current else ""
    return Drawing(
        figure,
        f"Transfer learning in four boxes: {', then '.join(spoken)}; below, "
        f"{' and '.join(f'{name} (notebook {number:02})' for name, number in BESIDE)}{here}",
    )
