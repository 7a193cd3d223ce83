"""Figures that inspect answers: where a network looks, what it confuses, how far to trust it."""

from collections.abc import Sequence

import numpy as np

from utils.plots import house, plot_bars
from utils.plots.house import Drawing, styled
from utils.plots.images import to_image

HEAT = "magma"  # its lightness rises with the value, so it reads in grey, too
SHOWN_CONFUSIONS = 10


@styled
def show_maps(
    images: Sequence, maps: Sequence, titles: Sequence[str] = (), title: str = ""
) -> Drawing:
    """Each image with its map [H, W] in colour beside it, and one colour bar for all maps.

    A map is scaled to its own largest value: it says where, not how much.
    """
    columns = min(3, len(images))
    rows = -(-len(images) // columns)
    tall = 8.2 / (2 * columns) + 0.35 * bool(len(titles))
    figure, axes = house.make_axes(rows, 2 * columns, 9, rows * tall + 0.4 * bool(title) + 0.2)
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.04)
    for axis in axes.flat:
        axis.axis("off")
    for number, (image, heat) in enumerate(zip(images, maps, strict=True)):
        row, column = divmod(number, columns)
        left, right = axes[row, 2 * column : 2 * column + 2]
        left.imshow(np.asarray(to_image(image)))
        heat = np.asarray(heat, dtype=float).clip(0)
        look = {"cmap": HEAT, "vmin": 0, "vmax": 1, "interpolation": "bilinear"}
        drawn = right.imshow(heat / max(heat.max(), 1e-9), **look)
        if len(titles):
            left.set_title(house.shorten(titles[number], 66 // columns), fontsize=12, loc="left")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, ticks=[0, 1], fraction=0.03, pad=0.01)
    bar.ax.set_yticklabels(["not at all", "most"])
    if title:
        figure.suptitle(title)
    spoken = f": {', '.join(titles)}" if len(titles) else ""
    count = f"{len(images)} images, each" if len(images) > 1 else "an image"
    text = f"{title or 'Where the network looks'}, {count} with its map{spoken}"
    return Drawing(figure, text, photographic=True)


@styled
def plot_confusion(tables: dict[str, np.ndarray], class_names: Sequence[str]) -> Drawing:
    """Confusion matrix of each run: rows are the true class, columns the answer, counts in fields.

    Of more than ten classes the largest confusions are listed instead, of the first run.
    """
    spoken = [
        f"{style.label} {int(np.trace(table)):,} of {int(np.sum(table)):,} right"
        for style, table in house.zip_styles(tables)
    ]
    if len(class_names) > 10:
        return list_confusions(tables, class_names, spoken)
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
    return Drawing(figure, f"Confusion matrix: {'; '.join(spoken)}")


def list_confusions(
    tables: dict[str, np.ndarray], class_names: Sequence[str], spoken: list[str]
) -> Drawing:
    """The largest confusions of the first run as bars, each with its two classes."""
    table = np.array(next(iter(tables.values())))
    np.fill_diagonal(table, 0)
    counts: dict[str, float] = {}
    for place in np.argsort(-table, axis=None, kind="stable")[:SHOWN_CONFUSIONS]:
        pair = divmod(int(place), len(class_names))
        if table[pair]:
            counts[" → ".join(house.shorten(class_names[k], 18) for k in pair)] = int(table[pair])
    title = f"{house.find_styles(list(tables))[0].label}: the largest of its confusions"
    bars = plot_bars(counts, "images (true class → answer)", title)
    return Drawing(bars.figure, f"{'; '.join(spoken)}. {bars.description}")
