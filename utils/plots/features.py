"""Figures of a frozen backbone: what it says, that it stays, what its features are good for."""

from collections.abc import Sequence

import matplotlib
import numpy as np

from utils.drawings import BLUE, GREY, Drawing, colour_of, make_axes, marker_of, to_pixels
from utils.plots import RUN_LABELS

PERCENT = matplotlib.ticker.PercentFormatter(1, decimals=0)


def plot_guesses(pictures: Sequence, guesses: Sequence[Sequence[tuple[str, float]]]) -> Drawing:
    """Each picture above a bar for each of its (name, probability in 0..1), the largest first."""
    figure, axes = make_axes(2, len(pictures), 9, 4.1)
    for column, (picture, named) in enumerate(zip(pictures, guesses, strict=True)):
        axes[0, column].imshow(to_pixels(picture))
        axes[0, column].axis("off")
        axis = axes[1, column]
        values = [value for _, value in named]
        axis.barh(range(len(named)), values, 0.82, color=BLUE, alpha=0.3)
        for place, (name, value) in enumerate(named):
            axis.text(0.015, place, f"{value:.0%} {name}", va="center", fontsize=8.5)
        axis.set(xlim=(0, 1), ylim=(len(named) - 0.5, -0.5))
        axis.axis("off")
    spoken = "; ".join(
        f"picture {number}: " + ", ".join(f"{name} {value:.0%}" for name, value in named)
        for number, named in enumerate(guesses, 1)
    )
    return Drawing(figure, f"What the network takes each picture for: {spoken}", photographic=True)


def plot_accuracies(
    measured: dict[str, tuple[float, float, float]], x_label: str = "validation accuracy"
) -> Drawing:
    """A dot and an interval for each named (accuracy, low, high), each with its value."""
    figure, axes = make_axes(width=7, height=0.9 + 0.42 * len(measured))
    axis = axes[0, 0]
    for place, (accuracy, low, high) in enumerate(measured.values()):
        error = [[max(0, accuracy - low)], [max(0, high - accuracy)]]
        axis.errorbar(accuracy, place, xerr=error, fmt=marker_of(place), capsize=4,
                      markersize=8, color=colour_of(place))  # fmt: skip
        axis.text(accuracy, place - 0.22, f"{accuracy:.1%}", ha="center", fontsize=9)
    axis.set_yticks(range(len(measured)), list(measured))
    axis.set_ylim(len(measured) - 0.5, -0.6)
    axis.xaxis.set_major_formatter(PERCENT)
    axis.set_xlabel(f"{x_label}, with its 95 % interval")
    spoken = "; ".join(f"{name} {value[0]:.1%}" for name, value in measured.items())
    return Drawing(figure, f"{x_label}: {spoken}")


def plot_drift(drifts: dict[str, Sequence[float]]) -> Drawing:
    """How far each batch norm's running means moved, in deviations, from the first layer on."""
    figure, axes = make_axes(width=8, height=3)
    axis = axes[0, 0]
    for number, (name, drift) in enumerate(drifts.items()):
        axis.plot(range(1, len(drift) + 1), drift, marker=marker_of(number), markersize=4,
                  lw=1.2, label=name, color=colour_of(1 - number))  # fmt: skip
    axis.set(xlabel="batch-norm layer, from the picture to the features",
             ylabel="moved by (deviations)",
             title="The running mean of each layer that went furthest")  # fmt: skip
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize=9)
    spoken = "; ".join(
        f"{name} between {min(drift):.2f} and {max(drift):.2f}" for name, drift in drifts.items()
    )
    return Drawing(figure, f"Distance of every running mean from where it was: {spoken}")


def plot_agreement(
    ours: np.ndarray, theirs: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]
) -> Drawing:
    """The same number from two ways for each picture, with the line on which both are equal."""
    figure, axes = make_axes(width=4.2, height=3.8)
    axis = axes[0, 0]
    ends = [min(ours.min(), theirs.min()), max(ours.max(), theirs.max())]
    axis.plot(ends, ends, color=GREY, lw=1, zorder=0)
    for number, name in enumerate(classes):
        chosen = labels == number
        axis.scatter(theirs[chosen], ours[chosen], s=22, marker=marker_of(number), alpha=0.7,
                     color=colour_of(number), label=name, lw=0)  # fmt: skip
    axis.set(xlabel="article's loop", ylabel="features once, then the head",
             title="One logit for each picture")  # fmt: skip
    axis.legend(fontsize=9)
    worst = np.abs(ours - theirs).max()
    return Drawing(figure, f"Logits of {len(ours)} pictures, two ways: at most {worst:.3f} apart")


def plot_maps(
    maps: dict[str, dict[str, np.ndarray]],
    labels: np.ndarray,
    classes: tuple[str, ...],
    notes: dict[str, str],
) -> Drawing:
    """Scatter plots of [N, 2]: a column for each representation with its note, a row a method."""
    methods = list(next(iter(maps.values())))
    figure, axes = make_axes(len(methods), len(maps), 9, 3 * len(methods))
    for column, (name, drawn) in enumerate(maps.items()):
        for row, method in enumerate(methods):
            axis, points = axes[row, column], drawn[method]
            for number in range(len(classes)):
                across, up = points[labels == number].T
                axis.scatter(across, up, s=20, marker=marker_of(number), alpha=0.6, lw=0,
                             color=colour_of(number), label=classes[number])  # fmt: skip
            axis.set(xticks=[], yticks=[])
            if not column:
                axis.set_ylabel(method)
        axes[0, column].set_title(f"{name}\n{notes[name]}", fontsize=10)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(classes)
    )
    spoken = "; ".join(f"{name}: {note}" for name, note in notes.items())
    return Drawing(figure, f"Pictures as points, by {' and '.join(methods)}. {spoken}")


def plot_few_pictures(lines: dict[str, tuple], levels: dict[str, float]) -> Drawing:
    """Accuracy against pictures a class, and levels that took no pictures.

    A line is (counts, accuracies) or (counts, accuracies, lows, highs); counts are on a log scale.
    """
    figure, axes = make_axes(width=8.5, height=4.3)
    axis = axes[0, 0]
    for number, (name, (counts, accuracies, *band)) in enumerate(lines.items()):
        axis.plot(counts, accuracies, marker=marker_of(number), markersize=6, label=name,
                  color=colour_of(number), ls=("-", "--", "-.")[number % 3])  # fmt: skip
        if band:
            axis.fill_between(counts, *band, color=colour_of(number), alpha=0.15, lw=0)
    for place, (name, level) in enumerate(levels.items()):
        style = (":", (0, (6, 2)))[place % 2]
        axis.axhline(level, color=GREY, lw=1.2, ls=style, label=f"{name}: {level:.0%}")
    axis.set_xscale("log")
    ticks = sorted({count for line in lines.values() for count in line[0]})
    shown = [c for i, c in enumerate(ticks) if not i or c >= 1.25 * ticks[i - 1]]
    axis.set_xticks(shown, [f"{count:,}" for count in shown])
    axis.minorticks_off()
    axis.yaxis.set_major_formatter(PERCENT)
    axis.set(xlabel="training pictures a class", ylabel="validation accuracy")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    spoken = [f"{name} from {line[1][0]:.0%} at {line[0][0]} to {line[1][-1]:.0%} at {line[0][-1]}"
              for name, line in lines.items()]  # fmt: skip
    spoken += [f"{name} {level:.0%}" for name, level in levels.items()]
    return Drawing(figure, f"Validation accuracy by training pictures a class: {'; '.join(spoken)}")


def plot_runs(rows: list[dict], levels: dict[str, tuple[float, float, float]]) -> Drawing:
    """Runs side by side: test accuracy with its interval, seconds, trainable parameters.

    `levels` are (accuracy, low, high) of what was never trained.
    """
    names = [*levels, *(RUN_LABELS.get(row["run"], row["run"]) for row in rows)]
    measured = [*levels.values(), *((row["test_accuracy"], *row["interval"]) for row in rows)]
    nothing = [0] * len(levels)
    seconds = [*nothing, *(row["seconds"] for row in rows)]
    trainable = [*nothing, *(row["trainable_parameters"] for row in rows)]
    figure, axes = make_axes(1, 3, 9, 1.1 + 0.55 * len(names))
    first, *others = axes[0]
    for place, (accuracy, low, high) in enumerate(measured):
        error = [[max(0, accuracy - low)], [max(0, high - accuracy)]]
        first.errorbar(accuracy, place, xerr=error, fmt=marker_of(place), capsize=4, markersize=8,
                       color=colour_of(place))  # fmt: skip
        first.text(accuracy, place - 0.25, f"{accuracy:.1%}", ha="center", fontsize=9)
    first.xaxis.set_major_formatter(PERCENT)
    first.set_yticks(range(len(names)), names)
    first.set_title("test accuracy, 95 % interval")
    titles, forms = ("seconds of training", "trained parameters"), ("{:,.1f} s", "{:,}")
    for axis, title, values, form in zip(others, titles, (seconds, trainable), forms, strict=True):
        for place, value in enumerate(values):
            axis.barh(place, value, 0.5, color=colour_of(place), alpha=0.8)
            axis.annotate(form.format(value) if value else "none", (value or 0, place), (4, 0),
                          textcoords="offset points", va="center", fontsize=9)  # fmt: skip
        axis.set_xlim(0, 1.6 * max([*values, 1]))
        axis.set(xticks=[], yticks=[], title=title)
        axis.spines["bottom"].set_visible(False)
    for axis in axes[0]:
        axis.set_ylim(len(names) - 0.4, -0.6)
    spoken = "; ".join(
        f"{name} {value[0]:.1%}, {second:.1f} seconds, {size:,} trained parameters"
        for name, value, second, size in zip(names, measured, seconds, trainable, strict=True)
    )
    return Drawing(figure, f"The runs side by side: {spoken}")
