"""Figures of unfreezing: seeds, pairs of answers, memory, the range test, averaged weights."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from utils.plots import house
from utils.plots.house import COLOURS, HATCHES, PERCENT, Drawing, format_percent, styled
from utils.plots.images import SHEET, TEXT, find_font, stack, tile


@styled
def plot_two_by_two(
    accuracies: dict[str, dict[str, Sequence[float]]],
    chance: float,
    reference: tuple[str, float] | None = None,
    title: str = "",
) -> Drawing:
    """Accuracies of several seeds as dots, `accuracies[rate][statistics]`, beside chance.

    A column for each rate, a colour and marker for each way with the statistics; `reference` is a
    named accuracy to compare with, such as the frozen network's.
    """
    figure, axes = house.make_axes(width=7.5, height=4)
    axis = axes[0, 0]
    ways = list(next(iter(accuracies.values())))
    spoken = []
    for place, (rate, by_way) in enumerate(accuracies.items()):
        for number, (way, values) in enumerate(by_way.items()):
            colour, marker = COLOURS[2 + number], "sD"[number % 2]
            middle = place + 0.36 * (number - (len(ways) - 1) / 2)
            across = middle + np.linspace(-0.07, 0.07, len(values)) * (len(values) > 1)
            label = way if place == 0 else None
            look = {"color": colour, "marker": marker, "markersize": 9}
            axis.plot(across, values, ls="", label=label, alpha=0.85, **look)
            mean = format_percent(float(np.mean(values)))
            house.note(axis, mean, (middle, min(values)), (0, -20), ha="center")
            listed = ", ".join(map(format_percent, values))
            spoken.append(f"{rate}, {way}: {listed}")
    marks = {"chance": chance} | ({reference[0]: reference[1]} if reference else {})
    axis.set_xlim(-0.5, len(accuracies) - 0.5)
    ends = []
    for (name, level), dash in zip(marks.items(), (":", "--"), strict=False):
        axis.axhline(level, color="black", ls=dash, lw=1.3, zorder=0)
        ends.append((len(accuracies) - 0.5, level, f"{name}, {format_percent(level)}", "black"))
        spoken.append(f"{name} {format_percent(level)}")
    axis.set_xticks(range(len(accuracies)), list(accuracies))
    axis.margins(y=0.16)
    axis.yaxis.set_major_formatter(PERCENT)
    axis.set(ylabel="accuracy", title=title)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)
    house.label_ends(axis, ends)
    return Drawing(figure, f"{title or 'Accuracy by rate and statistics'}: {'; '.join(spoken)}")


def plot_paired_table(
    before: Sequence[bool],
    after: Sequence[bool],
    images: Sequence,
    names: tuple[str, str] = ("frozen", "unfrozen"),
    title: str = "",
) -> Drawing:
    """The four ways in which two networks answer the same images, counted and with some of them.

    `before` and `after` say which answers are right, in the order of `images`.
    """
    before, after = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    wide, shown, high = SHEET // 2 - 12, 5, 160
    sheet = Image.new("RGB", (SHEET, 2 * high), "white")
    pen = ImageDraw.Draw(sheet)
    spoken = []
    for number, (old, new) in enumerate(((1, 1), (1, 0), (0, 1), (0, 0))):
        rows = np.flatnonzero((before == old) & (after == new))
        left, top = 4 + number % 2 * (SHEET // 2), number // 2 * high
        kind = {(1, 0): "lost: ", (0, 1): "gained: "}.get((old, new), "")
        mark = " · ".join(
            f"{name} {'✔' if right else '✘'}" for name, right in zip(names, (old, new), strict=True)
        )
        pen.rectangle((left - 4, top, left + wide + 4, top + high - 8), outline="#999999", width=2)
        pen.text((left + 6, top + 6), f"{len(rows):,}", "black", find_font(26, bold=True))
        words = f"{kind}{mark}"
        pen.text((left + 96, top + 12), words, "black", find_font(TEXT))
        if len(rows):
            some = [images[int(row)] for row in rows[:shown]]
            some = [*some, *[Image.new("RGB", (9, 9), "white")] * (shown - len(some))]
            sheet.paste(tile(some, columns=shown, width=wide - 8), (left + 6, top + 44))
        states = [
            f"{n} {'right' if r else 'wrong'}" for n, r in zip(names, (old, new), strict=True)
        ]
        spoken.append(f"{len(rows):,} {' and '.join(states)}")
    if title:
        sheet = stack([f"# {title}", sheet])
    text = f"{title or 'Answers to the same images'} ({len(before):,}): {', '.join(spoken)}"
    return Drawing(sheet, text, photographic=True)


@styled
def plot_memory(
    rows: dict[str, dict[str, float]], title: str = "Memory kept for the backward pass"
) -> Drawing:
    """Bytes by network and purpose, as bars of several parts, in megabytes."""
    figure, axes = house.make_axes(width=8, height=1.9 + 0.5 * len(rows))
    axis = axes[0, 0]
    left = dict.fromkeys(rows, 0.0)
    for number, purpose in enumerate(next(iter(rows.values()))):
        values = [row[purpose] / 1e6 for row in rows.values()]
        look = {
            "color": COLOURS[number],
            "hatch": HATCHES[number % 4],
            "edgecolor": "white",
        }
        axis.barh(list(rows), values, left=list(left.values()), label=purpose, **look)
        left = {name: left[name] + value for name, value in zip(rows, values, strict=True)}
    for place, total in enumerate(left.values()):
        house.note(axis, f"{total:,.0f} MB", (total, place), (5, 0), va="center")
    axis.invert_yaxis()
    axis.margins(x=0.18)
    axis.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    axis.set(xlabel="megabytes", title=title)
    if len(next(iter(rows.values()))) > 1:
        figure.legend(loc="outside lower center", ncols=4)
    spoken = "; ".join(
        f"{name} {left[name]:,.0f} megabytes ("
        + ", ".join(f"{purpose} {value / 1e6:,.0f}" for purpose, value in row.items())
        + ")"
        for name, row in rows.items()
    )
    return Drawing(figure, f"{title}: {spoken}")
