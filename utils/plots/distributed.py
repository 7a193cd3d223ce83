"""Figures of notebook 09: images dealt out to processes, and what a step costs."""

import matplotlib
import numpy as np

from utils.plots import house
from utils.plots.house import BLUE, COLOURS, GREY, ORANGE, Drawing, format_percent, styled


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
    figure.set_layout_engine("constrained", wspace=0.1)
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
    left.set_xticks(gpus, list(map(str, gpus)))
    left.set(xlabel="GPUs", ylabel="images per second")
    house.use_log_scale(left, "y")
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
