"""Figures that inspect answers: where a network looks, what it confuses, how far to trust it."""

import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np

from utils.plots import house, plot_bars
from utils.plots.house import BLUE, RED, Drawing, format_percent, styled
from utils.plots.images import to_image

HEAT = "magma"  # its lightness rises with the value, so it reads in grey, too
SHOWN_CONFUSIONS = 10
SHOWN_ANSWERS = 8


def draw_map(axis: matplotlib.axes.Axes, heat: object) -> matplotlib.image.AxesImage:
    """A map [H, W], 0 or more, as colours from 0 to its own largest value."""
    heat = np.asarray(heat.detach().cpu() if hasattr(heat, "detach") else heat, dtype=float)
    heat = heat.clip(0)
    house.hide_axes(axis)
    shown = heat / max(heat.max(), 1e-9)
    return axis.imshow(shown, cmap=HEAT, vmin=0, vmax=1, interpolation="bilinear")


@styled
def show_maps(
    images: Sequence,
    maps: Sequence,
    titles: Sequence[str] = (),
    correct: Sequence[bool] = (),
    title: str = "",
) -> Drawing:
    """Each image with its map [H, W] in colour beside it, and one colour bar for all maps.

    A map is scaled to its own largest value: it says where, not how much.
    """
    columns = min(3, len(images))
    rows = -(-len(images) // columns)
    tall = 8.2 / (2 * columns) + 0.35 * bool(len(titles))
    figure, axes = house.make_axes(rows, 2 * columns, 9, rows * tall + 0.4 * bool(title) + 0.2)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.04)
    for axis in axes.flat:
        axis.axis("off")
    words = []
    for number, (image, heat) in enumerate(zip(images, maps, strict=True)):
        row, column = divmod(number, columns)
        left, right = axes[row, 2 * column : 2 * column + 2]
        left.imshow(np.asarray(to_image(image)))
        drawn = draw_map(right, heat)
        if len(titles):
            mark, colour = "", "black"
            if len(correct):
                mark, colour = ("✔ ", "#006E50") if correct[number] else ("✘ ", "#A84400")
            text = house.shorten(f"{mark}{titles[number]}", 66 // columns)
            left.set_title(text, fontsize=12, color=colour, loc="left")
            wrong = " (wrong)" if len(correct) and not correct[number] else ""
            words.append(f"{titles[number]}{wrong}")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, ticks=[0, 1], fraction=0.03, pad=0.01)
    bar.ax.set_yticklabels(["not at all", "most"])
    if title:
        figure.suptitle(title)
    spoken = f": {', '.join(words)}" if words else ""
    text = f"{title or 'Where the network looks'}, {len(images)} images, each with its map{spoken}"
    return Drawing(figure, text, photographic=True)


@styled
def plot_confusion(
    tables: dict[str, np.ndarray], class_names: Sequence[str], title: str = ""
) -> Drawing:
    """Confusion matrix of each run: rows are the true class, columns the answer, counts in fields.

    Of more than ten classes the largest confusions are listed instead, of the first run.
    """
    spoken = [
        f"{style.label} {int(np.trace(table)):,} of {int(np.sum(table)):,} right"
        for style, table in house.zip_styles(tables)
    ]
    if len(class_names) > 10:
        return list_confusions(tables, class_names, title, spoken)
    side = max(2.9, 0.62 * len(class_names) + 1.4)
    figure, axes = house.make_axes(1, len(tables), min(9, side * len(tables) + 0.6), side + 0.5)
    names = [house.shorten(name, 14) for name in class_names]
    for axis, (style, table) in zip(axes[0], house.zip_styles(tables), strict=True):
        table = np.asarray(table)
        share = table / table.sum(axis=1, keepdims=True).clip(1)
        axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(table):
            ink = "white" if share[row, column] > 0.5 else "black"
            axis.text(column, row, f"{count:,}", ha="center", va="center", color=ink)
        axis.set_xticks(range(len(names)), names, rotation=0 if len(names) < 4 else 60)
        axis.set_yticks(range(len(names)), names if axis is axes[0, 0] else [])
        axis.set(title=style.label, xlabel="answer")
        pairs = ((r, c) for r, c in np.ndindex(table.shape) if r != c and len(names) <= 4)
        spoken += [
            f"{style.label}: {table[r, c]} of {names[r]} answered {names[c]}" for r, c in pairs
        ]
    axes[0, 0].set_ylabel("true class")
    if title:
        figure.suptitle(title)
    return Drawing(figure, f"{title or 'Confusion matrix'}: {'; '.join(spoken)}")


def list_confusions(
    tables: dict[str, np.ndarray], class_names: Sequence[str], title: str, spoken: list[str]
) -> Drawing:
    """The largest confusions of the first run as bars, each with its two classes."""
    table = np.array(next(iter(tables.values())))
    np.fill_diagonal(table, 0)
    largest = np.argsort(-table, axis=None, kind="stable")[:SHOWN_CONFUSIONS]
    pairs = [divmod(int(place), len(class_names)) for place in largest if table.flat[place]]
    names = [
        f"{house.shorten(class_names[r], 18)} → {house.shorten(class_names[c], 18)}"
        for r, c in pairs
    ]
    counts = [int(table[pair]) for pair in pairs]
    title = title or f"{house.find_styles(list(tables))[0].label}: the largest of its confusions"
    bars = plot_bars(dict(zip(names, counts, strict=True)), "images (true class → answer)", title)
    return Drawing(bars.figure, f"{'; '.join(spoken)}. {bars.description}")


@styled
def plot_distances(groups: dict[str, Sequence[float]], threshold: float) -> Drawing:
    """How far images are from the training images: a row of ticks for each group."""
    figure, axes = house.make_axes(width=8, height=1.3 + 0.5 * len(groups))
    axis = axes[0, 0]
    spoken = []
    for number, (name, distances) in enumerate(groups.items()):
        distances = np.asarray(distances, dtype=float)
        beyond = distances > threshold
        for chosen, colour in ((~beyond, BLUE), (beyond, RED)):
            places = np.full(int(chosen.sum()), number)
            axis.scatter(distances[chosen], places, s=200, marker="|", color=colour, lw=1.3)
        spoken.append(f"{name} {format_percent(float(beyond.mean()))}")
    axis.axvline(threshold, color="black", lw=1.3, ls="--")
    house.note(axis, "threshold", (threshold, -0.62), (5, 0))
    axis.set_yticks(range(len(groups)), [house.shorten(name, 30) for name in groups])
    axis.set_ylim(len(groups) - 0.5, -0.9)
    axis.set_xlabel("distance to the nearest training images")
    return Drawing(figure, f"Beyond the threshold {threshold:.2f}: {', '.join(spoken)}")


@styled
def draw_judgement(
    image: object,
    heat: object,
    probabilities: Sequence[float],
    class_names: Sequence[str],
    sentence: str,
) -> Drawing:
    """An image, its map [H, W] in colour beside it, and bars of the largest probabilities."""
    shares = np.asarray([float(p) for p in probabilities])
    order = np.argsort(-shares, kind="stable")[:SHOWN_ANSWERS]
    order = sorted(order) if len(shares) <= house.SHOWN_CLASSES else order
    figure, axes = house.make_axes(1, 3, 9, 3.4)
    for axis, title in zip(axes[0], ("what it sees", "where it looks", "confidence"), strict=True):
        axis.set_title(title, fontsize=12)
        house.hide_axes(axis)
    axes[0, 0].imshow(np.asarray(to_image(image)))
    draw_map(axes[0, 1], heat)
    bars = axes[0, 2].barh(range(len(order)), shares[order], 0.7, color=BLUE)
    texts = [f"{share:.1%}".replace("%", " %") for share in shares[order]]
    axes[0, 2].bar_label(bars, texts, padding=4, fontsize=11)
    axes[0, 2].set_yticks(range(len(order)), [house.shorten(class_names[k], 16) for k in order])
    axes[0, 2].set_xlim(0, 1.45)
    axes[0, 2].set_ylim(max(len(order), 4) - 0.4, -0.6)
    figure.suptitle("\n".join(textwrap.wrap(sentence, 88)))
    listed = ", ".join(f"{class_names[k]} {text}" for k, text in zip(order, texts, strict=True))
    return Drawing(figure, f"{sentence} ({listed})", photographic=True)
