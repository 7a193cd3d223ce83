"""Figures of notebook 09: a batch shared out, images dealt out, and what a step costs."""

import matplotlib
import numpy as np
from matplotlib.patches import Rectangle

from utils.plots import house
from utils.plots.house import BLUE, COLOURS, GREY, ORANGE, Drawing, format_percent, styled


@styled
def draw_data_parallel() -> Drawing:
    """One step of two processes: two halves of a batch, one average, the same weights."""
    figure, axes = house.make_axes(width=9.4, height=4.3)
    axis = axes[0, 0]
    house.hide_axes(axis)
    axis.set(xlim=(0, 19), ylim=(0, 7.4), title="One step, shared by two processes")
    house.draw_box(axis, (1.5, 3.7), (2.7, 2.2), "batch of\n32 images", GREY)
    for number, middle in enumerate((5.6, 1.8)):
        colour = COLOURS[number]
        look = {"fill": False, "edgecolor": colour, "linestyle": "--", "linewidth": 1.2}
        axis.add_patch(Rectangle((3.7, middle - 1.35), 15.1, 2.7, **look))
        name = f"process {number}"
        axis.text(3.95, middle + 0.98, name, color=house.darken(colour), fontsize=11, va="center")
        house.draw_box(axis, (5.2, middle), (2.2, 1.3), "16 of the\nimages", colour)
        house.draw_box(axis, (8.7, middle), (3.2, 1.3), "the network,\nthe same weights", colour)
        house.draw_box(axis, (12.2, middle), (2.1, 1.3), "its own\ngradients", colour)
        house.draw_box(axis, (17.1, middle), (3, 1.3), "the same step,\nagain the same", colour)
        house.draw_arrow(axis, [(2.95, 3.7 + (middle - 3.7) * 0.35), (4.05, middle)])
        house.draw_arrow(axis, [(6.35, middle), (7.05, middle)])
        house.draw_arrow(axis, [(10.35, middle), (11.1, middle)])
        near = 3.7 + (0.5 if middle > 3.7 else -0.5)
        house.draw_arrow(axis, [(12.6, middle + (near - middle) * 0.42), (13.6, near)])
        house.draw_arrow(axis, [(14.8, near), (15.8, middle + (near - middle) * 0.4)])
    house.draw_box(axis, (14.2, 3.7), (4.2, 0.9), "all-reduce: the average", house.GREEN)
    return Drawing(
        figure,
        "A batch of 32 images goes in halves to two processes. Each has the same network, computes "
        "the gradients of its own 16 images, and gets the average of both gradients by an "
        "all-reduce. So both take the same step and have the same weights again.",
    )


@styled
def plot_deal(epochs: dict[str, list[list[int]]], title: str) -> Drawing:
    """Rows dealt out: one panel an epoch, one line a process, each row as a numbered square.

    A row that is dealt for the second time has a frame.
    """
    figure, axes = house.make_axes(
        1, len(epochs), 9.4, 0.9 + 0.5 * len(next(iter(epochs.values())))
    )
    spoken = []
    for axis, (name, orders) in zip(axes[0], epochs.items(), strict=True):
        house.hide_axes(axis)
        dealt: set[int] = set()
        for place in range(max(map(len, orders))):
            for rank, order in enumerate(orders):
                if place >= len(order):
                    continue
                edge = "black" if order[place] in dealt else "none"
                dealt.add(order[place])
                fill = (*matplotlib.colors.to_rgb(COLOURS[rank % len(COLOURS)]), 0.35)
                look = {"s": 420, "marker": "s", "facecolor": fill, "edgecolor": edge, "lw": 2}
                axis.scatter(place, rank, **look)
                axis.text(place, rank, str(order[place]), ha="center", va="center", fontsize=11)
        axis.set(title=name, ylim=(len(orders) - 0.4, -0.6))
        axis.margins(x=0.14)
        lines = (f"process {rank} gets {order}" for rank, order in enumerate(orders))
        spoken.append(f"{name}: {', '.join(lines)}")
    axes[0, 0].set_yticks(range(len(orders)), [f"process {rank}" for rank in range(len(orders))])
    axes[0, 0].tick_params(length=0)
    figure.get_layout_engine().set(wspace=0.1)
    figure.suptitle(title)
    return Drawing(figure, f"{title}. {'; '.join(spoken)}")


@styled
def plot_scaling(
    gpus: list[int], speeds: list[float], steps: dict[str, tuple[float, float, float]], title: str
) -> Drawing:
    """Images per second by number of GPUs beside the ideal; what a step is made of.

    `steps` are seconds: (computing, exchange hidden behind it, exchange waited for).
    """
    figure, axes = house.make_axes(1, 2, 9, 4.2)
    left, right = axes[0]
    ideal = [speeds[0] * count / gpus[0] for count in gpus]
    left.plot(gpus, ideal, ":", color=GREY, label="ideal")
    left.plot(gpus, speeds, "o-", color=BLUE, markersize=5, label="predicted")
    left.set_xscale("log", base=2)
    left.set_yscale("log")
    left.set_xticks(gpus, list(map(str, gpus)))
    house.write_plainly(left.yaxis)
    left.set(xlabel="GPUs", ylabel="images per second")
    left.legend()
    share = format_percent(round(speeds[-1] / ideal[-1], 2))
    left.set_title(f"{gpus[-1]} GPUs: {share} of the ideal")
    names, (compute, hidden, waited) = list(steps), 1000 * np.array(list(steps.values())).T
    right.barh(names, compute, 0.62, color=BLUE, label="computing")
    right.barh(names, hidden, 0.2, compute - hidden, color=house.PURPLE, label="exchange behind it")
    look = {"color": ORANGE, "hatch": "///", "edgecolor": "white"}
    right.barh(names, waited, 0.62, compute, label="waiting for the exchange", **look)
    right.invert_yaxis()
    right.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
    right.set(xlabel="milliseconds", title="one step")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=3)
    figure.suptitle(title)
    spoken = "; ".join(
        f"{name}: {1000 * compute:.0f} ms of computing, {1000 * hidden:.0f} ms of exchange behind "
        f"it, {1000 * waited:.0f} ms of waiting"
        for name, (compute, hidden, waited) in steps.items()
    )
    return Drawing(
        figure,
        f"{title}: {speeds[0]:,.0f} images per second with {gpus[0]} GPU, {speeds[-1]:,.0f} with "
        f"{gpus[-1]}, {share} of the ideal. {spoken}",
    )


@styled
def plot_differences(differences: dict[str, float], label: str, title: str) -> Drawing:
    """A dot and its number for each difference, from rounding to everything: powers of ten."""
    figure, axes = house.make_axes(width=8.5, height=1.5 + 0.42 * len(differences))
    axis, places = axes[0, 0], range(len(differences))
    values = [max(value, 1e-17) for value in differences.values()]  # nothing at all has no place
    axis.plot(values, places, "o", color=BLUE, markersize=9)
    texts = [f"{value:.2f}" if value >= 0.01 else f"{value:.0e}" for value in differences.values()]
    for value, place, text in zip(values, places, texts, strict=True):
        house.note(axis, text, (value, place), (9, -4))
    axis.set_xscale("log")
    axis.set_xlim(1e-18, 1e2)
    axis.set_xticks([10.0**power for power in range(-16, 1, 4)])
    axis.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axis.set_yticks(places, list(differences))
    axis.set_ylim(len(differences) - 0.5, -0.5)
    axis.grid(color="0.85")
    axis.set_axisbelow(True)
    axis.set(xlabel=f"{label} (powers of ten)", title=title)
    spoken = ", ".join(f"{name} {text}" for name, text in zip(differences, texts, strict=True))
    return Drawing(figure, f"{title}: {spoken}")
