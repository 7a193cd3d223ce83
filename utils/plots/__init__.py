"""Every figure of the course. A plot is given numbers and pictures, and computes nothing.

Each function returns a `Drawing`: a figure with a description in words, which a notebook shows
as the picture and a screen reader reads out.
"""

import matplotlib
import numpy as np

from utils.drawings import (
    BLUE,
    GREEN,
    RED,
    Drawing,
    colour_of,
    hatch_of,
    make_axes,
    marker_of,
    show_pictures,
    tile_pictures,
)

__all__ = ["show_pictures", "tile_pictures"]  # plots.show_pictures is what a notebook calls

RUN_LABELS = {"custom_cnn": "custom CNN", "frozen": "frozen backbone", "unfrozen": "unfrozen"}


def plot_counts(counts: dict[str, dict[str, int]], title: str = "Pictures a class") -> Drawing:
    """Bars of pictures by split and class."""
    figure, axes = make_axes(width=6, height=2.4)
    axis = axes[0, 0]
    names = list(counts)
    classes = list(next(iter(counts.values())))
    high = 0.8 / len(classes)
    for number, class_name in enumerate(classes):
        values = [counts[name][class_name] for name in names]
        places = np.arange(len(names)) + (number - (len(classes) - 1) / 2) * high
        bars = axis.barh(places, values, high, label=class_name, color=colour_of(number),
                         hatch=hatch_of(number), edgecolor="white")  # fmt: skip
        axis.bar_label(bars, [f"{value:,}" for value in values], padding=3, fontsize=9)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_xlabel("pictures")
    axis.legend(loc="lower right")
    axis.set_title(title)
    spoken = [
        f"{name}: " + ", ".join(f"{value:,} {one}" for one, value in counts[name].items())
        for name in names
    ]
    return Drawing(figure, f"{title}. {'; '.join(spoken)}")


def plot_history(histories: dict[str, dict], title: str = "") -> Drawing:
    """Loss and accuracy by epoch: training dashed, validation solid, colour and marker by run.

    Each history has the lists of `training.History`.
    """
    figure, axes = make_axes(1, 2, 9, 3.2)
    for number, (name, history) in enumerate(histories.items()):
        epochs = range(1, len(history["train_loss"]) + 1)
        for axis, quantity in zip(axes[0], ("loss", "accuracy"), strict=True):
            label = f"{name}, " if name else ""
            style = {"color": colour_of(number), "marker": marker_of(number), "markersize": 4}
            axis.plot(epochs, history[f"train_{quantity}"], "--", label=f"{label}training", **style)
            validation = history[f"validation_{quantity}"]
            axis.plot(epochs, validation, label=f"{label}validation", **style)
            axis.set_xlabel("epoch")
            axis.set_title(quantity)
            axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 1].yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=0))
    axes[0, 0].legend(fontsize=8)
    if title:
        figure.suptitle(title)
    last = [
        f"{name or 'run'} ends at validation accuracy {history['validation_accuracy'][-1]:.1%}"
        for name, history in histories.items()
        if history["validation_accuracy"]
    ]
    return Drawing(figure, f"{title or 'Loss and accuracy by epoch'}: {'; '.join(last)}")


def plot_bars(
    values: dict[str, float], label: str, title: str = "", form: str = "{:,.0f}", log: bool = False
) -> Drawing:
    """Horizontal bars of named numbers, each with its value beside it."""
    figure, axes = make_axes(width=7, height=0.8 + 0.32 * len(values))
    axis = axes[0, 0]
    colours = [colour_of(number) for number in range(len(values))]
    bars = axis.barh(list(values), list(values.values()), color=colours)
    axis.bar_label(bars, [form.format(value) for value in values.values()], padding=3)
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.set_xlabel(label)
    axis.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.12g}"))
    if log:
        axis.set_xscale("log")
    axis.set_title(title)
    spoken = ", ".join(f"{name} {form.format(value)}" for name, value in values.items())
    return Drawing(figure, f"{title or label}: {spoken}")


class PlainLogFormatter(matplotlib.ticker.LogFormatter):
    """Names the ticks that matplotlib would name, and writes 0.6 where it would write 6e-01."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def write_plainly(axis: matplotlib.axis.Axis) -> None:
    """Numbers of a log scale as people write them, also where it holds no two powers of ten."""
    axis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axis.set_minor_formatter(PlainLogFormatter(minor_thresholds=(1.5, 0.4)))


def say_number(value: float) -> str:
    """Three digits, and no power of ten where people say thousands."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def plot_comparison(rows: list[dict]) -> Drawing:
    """Test accuracy with its interval against the seconds of training, one point a run."""
    figure, axes = make_axes(width=7, height=3.2)
    axis = axes[0, 0]
    for number, row in enumerate(rows):
        low, high = row["interval"]
        error = [[row["test_accuracy"] - low], [high - row["test_accuracy"]]]
        label = RUN_LABELS.get(row["run"], row["run"])
        axis.errorbar(
            row["seconds"], row["test_accuracy"], error, fmt=marker_of(number), capsize=4,
            color=colour_of(number),
        )  # fmt: skip
        note = f"{label}\n{row['test_accuracy']:.1%}, {row['seconds']:.0f} s"
        axis.annotate(note, (row["seconds"], row["test_accuracy"]), (8, -14),
                      textcoords="offset points", fontsize=9, va="top")  # fmt: skip
    axis.set_xscale("log")
    write_plainly(axis.xaxis)
    axis.margins(x=0.35, y=0.2)
    axis.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=None))
    axis.set(xlabel="seconds of training (log scale)", ylabel="test accuracy")
    axis.set_title("Accuracy with 95 % interval against time")
    spoken = "; ".join(
        f"{RUN_LABELS.get(row['run'], row['run'])} {row['test_accuracy']:.1%} in "
        f"{row['seconds']:.0f} seconds"
        for row in rows
    )
    return Drawing(figure, f"Test accuracy against seconds of training: {spoken}")


def plot_lines(
    lines: dict[str, tuple],
    x_label: str,
    y_label: str,
    title: str = "",
    log: str = "",
    percent: bool = True,
) -> Drawing:
    """Named lines: (x, y) or (x, y, low, high) with a band; `log` names the axes on a log scale."""
    figure, axes = make_axes(width=7, height=3.5)
    axis = axes[0, 0]
    for number, (name, line) in enumerate(lines.items()):
        axis.plot(line[0], line[1], marker=marker_of(number), markersize=4, label=name,
                  ls=("-", "--", "-.", ":")[number % 4], color=colour_of(number))  # fmt: skip
        if len(line) == 4:
            axis.fill_between(line[0], line[2], line[3], color=colour_of(number), alpha=0.2, lw=0)
    if "x" in log:
        axis.set_xscale("log")
        write_plainly(axis.xaxis)
    elif all(isinstance(x, int) for line in lines.values() for x in line[0]):
        axis.xaxis.get_major_locator().set_params(integer=True)  # no epoch 2.5
    if "y" in log:
        axis.set_yscale("log")
        write_plainly(axis.yaxis)
    if percent:
        axis.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=0))
    axis.set(xlabel=x_label, ylabel=y_label, title=title)
    axis.legend(fontsize=9)
    spoken = "; ".join(
        f"{name} from {say_number(line[1][0])} to {say_number(line[1][-1])}"
        for name, line in lines.items()
    )
    return Drawing(figure, f"{title or y_label} by {x_label}: {spoken}")


def plot_sizes(sizes: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> Drawing:
    """Width against height of picture files in pixels, int [N, 2], a colour and marker a class."""
    figure, axes = make_axes(width=5, height=3.6)
    axis = axes[0, 0]
    for number, name in enumerate(classes):
        wide, high = sizes[labels == number].T
        axis.scatter(wide, high, s=18, alpha=0.5, label=name, color=colour_of(number),
                     marker=marker_of(number), lw=0)  # fmt: skip
    limit = sizes.max() * 1.05
    axis.plot([0, limit], [0, limit], ":", color="black", linewidth=1, label="square")
    axis.set(xlabel="width in pixels", ylabel="height in pixels", title="Sizes of the files")
    axis.legend()
    ratios = sizes[:, 0] / sizes[:, 1].clip(1)
    return Drawing(
        figure,
        f"Width against height of {len(sizes):,} files: sides from {sizes.min()} to {sizes.max()} "
        f"pixels, width ÷ height from {ratios.min():.2f} to {ratios.max():.2f}",
    )


def plot_histograms(images: dict) -> Drawing:
    """Histograms of the three channels of each named picture, float [3, H, W]."""
    figure, axes = make_axes(1, len(images), 4.2 * len(images), 2.6)
    spoken = []
    for axis, (name, image) in zip(axes[0], images.items(), strict=True):
        lines = (("red", RED, "-"), ("green", GREEN, "--"), ("blue", BLUE, ":"))
        for (colour, drawn, style), channel in zip(lines, image, strict=True):
            values = channel.flatten().numpy()
            axis.hist(values, 60, histtype="step", color=drawn, ls=style, label=colour)
        axis.set(title=name, xlabel="value", yticks=[])
        spoken.append(f"{name} from {image.min():.2f} to {image.max():.2f}")
    axes[0, 0].legend(fontsize=8)
    return Drawing(figure, f"Histograms of red, green and blue: {'; '.join(spoken)}")
