"""The figures of notebook 05: what a network says, how sure it is, and where it looks."""

import matplotlib
import numpy as np
import torch
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from utils.drawings import BLUE, GREEN, GREY, ORANGE, RED, Drawing, colour_of, make_axes, to_pixels
from utils.plots import RUN_LABELS

MARKERS = "osD^vP"


def plot_intervals(rows: list[dict]) -> Drawing:
    """Test accuracy of each run with its 95 % interval, one below the other."""
    figure, axes = make_axes(width=7, height=0.8 + 0.5 * len(rows))
    axis = axes[0, 0]
    for number, row in enumerate(rows):
        (low, high), middle = row["interval"], row["test_accuracy"]
        axis.errorbar(middle, number, xerr=[[middle - low], [high - middle]], capsize=4,
                      marker=MARKERS[number % len(MARKERS)], color=colour_of(number))  # fmt: skip
        axis.annotate(f"{middle:.1%}", (middle, number), (0, 8), textcoords="offset points",
                      ha="center", fontsize=9)  # fmt: skip
    axis.set_yticks(range(len(rows)), [RUN_LABELS.get(row["run"], row["run"]) for row in rows])
    axis.set_ylim(len(rows) - 0.4, -0.8)
    axis.xaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=0))
    axis.set_xlabel("test accuracy with 95 % interval")
    spoken = "; ".join(
        f"{RUN_LABELS.get(row['run'], row['run'])} {row['test_accuracy']:.1%} "
        f"({row['interval'][0]:.1%} to {row['interval'][1]:.1%})"
        for row in rows
    )
    return Drawing(figure, f"Test accuracy with 95 % interval: {spoken}")


def plot_confusions(tables: dict[str, np.ndarray], classes: tuple[str, ...]) -> Drawing:
    """A confusion table for each run: true class down, answer across, pictures in each field."""
    side = max(2.4, 0.6 * len(classes) + 1)
    figure, axes = make_axes(1, len(tables), min(9, side * len(tables) + 0.5), side + 0.3)
    places = range(len(classes))
    for axis, (name, table) in zip(axes[0], tables.items(), strict=True):
        part = table / table.sum(axis=1, keepdims=True).clip(1)
        axis.imshow(part, cmap="Blues", vmin=0, vmax=1)
        for row in places:
            for column in places:
                ink = "white" if part[row, column] > 0.5 else "black"
                axis.text(column, row, f"{table[row, column]:,}", ha="center", va="center",
                          color=ink)  # fmt: skip
        axis.set_xticks(places, classes, rotation=0 if len(classes) < 4 else 60)
        axis.set_yticks(places, classes if axis is axes[0, 0] else [])
        axis.set(title=RUN_LABELS.get(name, name), xlabel="answer")
    axes[0, 0].set_ylabel("true class")
    spoken = "; ".join(
        f"{RUN_LABELS.get(name, name)} {int(np.trace(table))} of {int(table.sum())} right"
        for name, table in tables.items()
    )
    return Drawing(figure, f"Confusion tables of true against said class: {spoken}")


def plot_roc(panels: dict[str, dict[str, tuple]], columns: int = 3) -> Drawing:
    """ROC curves, a panel for each class and a line (false, true, area) for each run."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    wide = 5 if columns == 1 else 9
    figure, axes = make_axes(rows, columns, wide, 3.3 * rows)
    spoken = []
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    for axis, (title, lines) in zip(axes.flat, panels.items(), strict=False):
        for number, (name, (false, true, area)) in enumerate(lines.items()):
            label = f"{RUN_LABELS.get(name, name)}, area {area:.3f}"
            axis.step(false, true, where="post", label=label, color=colour_of(number),
                      ls=("-", "--", ":")[number % 3])  # fmt: skip
            spoken.append(f"{title}, {label}")
        axis.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (1, 3)))
        percent = matplotlib.ticker.PercentFormatter(1, decimals=0)
        axis.xaxis.set_major_formatter(percent)
        axis.yaxis.set_major_formatter(percent)
        axis.set(xlabel="false alarms", ylabel="found", title=title)
        axis.legend(fontsize=8, loc="lower right")
    return Drawing(figure, f"ROC curves: {'; '.join(spoken)}")


def plot_reliability(panels: dict[str, dict[str, dict]]) -> Drawing:
    """Accuracy against confidence, a panel for each run, a point for each bin, before and after.

    `panels[run][label]` are bins of `calibration.bin_confidence`; areas follow their pictures.
    """
    figure, axes = make_axes(1, len(panels), 9, 3.6)
    spoken = []
    for axis, (name, lines) in zip(axes[0], panels.items(), strict=True):
        axis.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (1, 3)))
        for (label, bins), colour, marker in zip(
            lines.items(), (BLUE, ORANGE), MARKERS, strict=False
        ):
            x, y = bins["confidence"], bins["accuracy"]
            sizes = 12 + 220 * bins["count"] / bins["count"].sum()
            axis.vlines(x, x, y, colors=colour, lw=1, alpha=0.6)  # the gaps to the diagonal
            axis.scatter(x, y, sizes, color=colour, marker=marker, label=label, alpha=0.85)
            points = zip(x.tolist(), y.tolist(), strict=True)
            said = ", ".join(f"{sure:.0%} sure {right:.0%} right" for sure, right in points)
            spoken.append(f"{RUN_LABELS.get(name, name)}, {label}: {said}")
        percent = matplotlib.ticker.PercentFormatter(1, decimals=0)
        axis.xaxis.set_major_formatter(percent)
        axis.yaxis.set_major_formatter(percent)
        axis.set(xlim=(0, 1.03), ylim=(-0.04, 1.06), xlabel="how sure it is",
                 title=RUN_LABELS.get(name, name))  # fmt: skip
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
    for handle in legend.legend_handles:
        handle.set_sizes([30])
    axes[0, 0].set_ylabel("how often it is right")
    return Drawing(figure, f"Accuracy against confidence: {'; '.join(spoken)}")


def plot_robustness(panels: dict[str, dict[str, tuple]], units: dict[str, str]) -> Drawing:
    """Accuracy against how much worse the pictures are, a panel for each way to make them worse.

    `panels[kind][run]` is (labels of the levels, accuracy, low, high); the first level is none.
    """
    figure, axes = make_axes(2, 3, 9, 5.4)
    spoken = []
    for axis, (kind, lines) in zip(axes.flat, panels.items(), strict=True):
        for number, (name, (levels, middle, low, high)) in enumerate(lines.items()):
            places = range(len(levels))
            axis.fill_between(places, low, high, color=colour_of(number), alpha=0.12, lw=0)
            axis.plot(places, middle, marker=MARKERS[number], markersize=5,
                      label=RUN_LABELS.get(name, name), color=colour_of(number))  # fmt: skip
            spoken.append(f"{kind}, {name}: {middle[0]:.0%} to {middle[-1]:.0%}")
        axis.set_xticks(places, levels)
        axis.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=0))
        axis.set(title=kind, xlabel=units[kind], ylim=(0, 1.04))
    axes[0, 0].legend(fontsize=8, loc="lower left")
    return Drawing(figure, f"Accuracy by kind and strength of damage: {'; '.join(spoken)}")


def plot_distances(groups: dict[str, torch.Tensor], threshold: float) -> Drawing:
    """How far pictures are from the training pictures: a row of ticks for each group."""
    figure, axes = make_axes(width=7.5, height=0.9 + 0.5 * len(groups))
    axis = axes[0, 0]
    for number, distances in enumerate(groups.values()):
        beyond = (distances > threshold).numpy()
        for chosen, colour in ((~beyond, BLUE), (beyond, RED)):
            axis.scatter(distances[chosen], np.full(chosen.sum(), number), s=160, marker="|",
                         color=colour, lw=1.2)  # fmt: skip
    axis.axvline(threshold, color="black", lw=1, ls="--")
    axis.annotate("threshold", (threshold, -0.6), (4, 0), textcoords="offset points", fontsize=9)
    axis.set_yticks(range(len(groups)), list(groups))
    axis.set_ylim(len(groups) - 0.5, -0.8)
    axis.set_xlabel("distance to the training pictures")
    spoken = ", ".join(
        f"{name} {(d > threshold).float().mean().item():.0%}" for name, d in groups.items()
    )
    return Drawing(figure, f"Parts beyond the threshold {threshold:.2f}: {spoken}")


def draw_judgement(
    image: np.ndarray, lit: np.ndarray, probabilities: torch.Tensor, classes, sentence: str
) -> Drawing:
    """A picture, where the network looks, and a bar for each class; the sentence above."""
    figure, axes = make_axes(1, 3, 8.3, max(2.9, 0.3 * len(classes) + 1))
    for axis, picture, title in zip(
        axes[0], (image, lit), ("what it sees", "where it looks"), strict=False
    ):
        axis.imshow(picture)
        axis.axis("off")
        axis.set_title(title, fontsize=9)
    colours = [colour_of(number) for number in range(len(classes))]
    bars = axes[0, 2].barh(list(classes), probabilities.tolist(), color=colours)
    texts = [f"{probability:.1%}" for probability in probabilities.tolist()]
    axes[0, 2].bar_label(bars, texts, padding=3)
    axes[0, 2].set(xlim=(0, 1.3), xticks=[])
    axes[0, 2].invert_yaxis()
    axes[0, 2].set_title("how sure it is", fontsize=9)
    figure.suptitle(sentence, fontsize=11, wrap=True)
    return Drawing(figure, sentence, photographic=True)


def caption_pictures(
    pictures, captions: list[str], description: str, columns: int = 6, side: int = 140
) -> Drawing:
    """Pictures with a line of text below each, made in milliseconds: for controls that redraw."""
    gap, below = 6, 34
    font = ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans")), 12)
    rows = max(1, -(-len(captions) // columns))
    sheet = Image.new("RGB", (columns * (side + gap), rows * (side + below)), "white")
    pen = ImageDraw.Draw(sheet)
    if not captions:
        pen.text((0, side // 2), "none", "black", font)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = column * (side + gap), row * (side + below)
        tile = Image.fromarray(to_pixels(picture)).resize((side, side), Image.Resampling.BILINEAR)
        sheet.paste(tile, (left, top))
        pen.multiline_text((left, top + side + 1), caption, "black", font, spacing=1)
    return Drawing(sheet, description, photographic=True)


def plot_similarity(similarities: dict[str, np.ndarray]) -> Drawing:
    """How alike maps are before and after randomising, by stage: every map a dot, their mean."""
    figure, axes = make_axes(width=7.5, height=2.8)
    axis = axes[0, 0]
    names = list(similarities)
    for place, values in enumerate(similarities.values()):
        spread = np.linspace(-0.15, 0.15, len(values))
        axis.scatter(place + spread, values, s=12, color=GREY, alpha=0.5, lw=0)
    means = [values.mean() for values in similarities.values()]
    axis.plot(range(len(names)), means, marker="o", color=GREEN)
    axis.set_xticks(range(len(names)), names)
    axis.axhline(0, color="black", lw=0.8)
    axis.set(ylim=(-1.05, 1.1), xlabel="randomised from the head down to this stage",
             ylabel="rank correlation")  # fmt: skip
    spoken = ", ".join(f"{name} {mean:.2f}" for name, mean in zip(names, means, strict=True))
    return Drawing(figure, f"Mean rank correlation with the maps of the trained network: {spoken}")
