"""Figures of notebook 06: a batch shared out, pictures dealt out, and what a step costs."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from utils.drawings import BLUE, GREEN, GREY, ORANGE, PURPLE, Drawing, colour_of, make_axes
from utils.plots_blocks import draw_arrow


def draw_data_parallel() -> Drawing:
    """One step of two processes: two halves of a batch, one average, the same weights."""
    figure, axes = make_axes(width=9, height=3.9)
    axis = axes[0, 0]
    axis.set(xlim=(0, 18), ylim=(0, 7.4), title="One step, shared by two processes")
    axis.axis("off")
    draw_box(axis, 1.6, 3.7, 2.5, 2.2, "batch of\n32 pictures", GREY)
    for number, middle in enumerate((5.6, 1.8)):
        colour = colour_of(number)
        frame = FancyBboxPatch(
            (3.9, middle - 1.3), 13.5, 2.6, boxstyle="round,pad=0,rounding_size=0.2", fill=False,
            ec=colour, ls="--", lw=1.2,
        )  # fmt: skip
        axis.add_patch(frame)
        axis.text(4.1, middle + 0.92, f"process {number}", color=colour, fontsize=9, va="center")
        draw_box(axis, 5.5, middle, 2.2, 1.3, "16 of the\npictures", colour)
        draw_box(axis, 8.5, middle, 2.4, 1.3, "the network,\nthe same weights", colour)
        draw_box(axis, 11.4, middle, 1.9, 1.3, "its own\ngradients", colour)
        draw_box(axis, 16.1, middle, 2.1, 1.3, "the same step,\nagain the same", colour)
        draw_arrow(axis, [(2.9, 3.7 + (middle - 3.7) * 0.35), (4.35, middle)])
        draw_arrow(axis, [(6.65, middle), (7.25, middle)])
        draw_arrow(axis, [(9.75, middle), (10.4, middle)])
        near = 3.7 + (0.55 if middle > 3.7 else -0.55)
        draw_arrow(axis, [(11.9, middle + (near - middle) * 0.45), (13.2, near)])
        draw_arrow(axis, [(14.0, near), (15.0, middle + (near - middle) * 0.2)])
    draw_box(axis, 13.6, 3.7, 3.2, 0.9, "all-reduce: the average", GREEN)
    return Drawing(
        figure,
        "A batch of 32 pictures goes in halves to two processes. Each has the same network, "
        "computes the gradients of its own 16 pictures, and gets the average of both gradients by "
        "an all-reduce. So both take the same step and have the same weights again.",
    )


def draw_box(
    axis: Axes, across: float, up: float, wide: float, high: float, text: str, colour: str
) -> None:
    """A box with its text in the middle."""
    box = FancyBboxPatch(
        (across - wide / 2, up - high / 2), wide, high, boxstyle="round,pad=0,rounding_size=0.12",
        fc=colour, ec="none", alpha=0.25,
    )  # fmt: skip
    axis.add_patch(box)
    axis.text(across, up, text, ha="center", va="center", fontsize=8.5)


def plot_deal(epochs: dict[str, list[list[int]]], title: str) -> Drawing:
    """Rows dealt out: one panel an epoch, one line a process, each row as a numbered square.

    A row that is dealt for the second time is drawn with an edge.
    """
    figure, axes = make_axes(1, len(epochs), 9.4, 0.7 + 0.45 * len(next(iter(epochs.values()))))
    spoken = []
    for axis, (name, orders) in zip(axes[0], epochs.items(), strict=True):
        dealt: set[int] = set()
        for place in range(max(map(len, orders))):
            for rank, order in enumerate(orders):
                if place >= len(order):
                    continue
                again = order[place] in dealt
                dealt.add(order[place])
                axis.scatter(place, rank, s=290, marker="s", color=colour_of(rank), alpha=0.35)
                if again:
                    axis.scatter(place, rank, s=330, marker="s", fc="none", ec="black", lw=1.6)
                axis.text(place, rank, str(order[place]), ha="center", va="center", fontsize=9)
        axis.set(title=name, xticks=[], ylim=(len(orders) - 0.4, -0.6))
        axis.margins(x=0.12)
        axis.set_yticks(range(len(orders)), [f"process {rank}" for rank in range(len(orders))])
        axis.spines[["left", "bottom"]].set_visible(False)
        axis.tick_params(length=0)
        lines = (f"process {rank} gets {order}" for rank, order in enumerate(orders))
        spoken.append(f"{name}: {', '.join(lines)}")
    for axis in axes[0, 1:]:
        axis.set_yticklabels([])
    figure.get_layout_engine().set(wspace=0.08)
    figure.suptitle(title, fontsize=11)
    return Drawing(figure, f"{title}. {'; '.join(spoken)}")


def draw_steps(axis: Axes, steps: dict[str, tuple[float, float, float]]) -> None:
    """Bars of a step's seconds: (computing, exchange hidden behind it, exchange waited for)."""
    names = list(steps)
    compute, hidden, waited = 1000 * np.array(list(steps.values())).T
    axis.barh(names, compute, 0.62, color=BLUE, label="computing")
    axis.barh(names, hidden, 0.2, compute - hidden, color=PURPLE, label="exchange behind it")
    axis.barh(names, waited, 0.62, compute, color=ORANGE, label="waiting for the exchange")
    axis.invert_yaxis()
    axis.set_xlabel("milliseconds")
    axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.45, -0.28), ncols=3)


def speak_steps(steps: dict[str, tuple[float, float, float]]) -> str:
    return "; ".join(
        f"{name}: {1000 * compute:.0f} ms of computing, {1000 * hidden:.0f} ms of exchange behind "
        f"it, {1000 * waited:.0f} ms of waiting"
        for name, (compute, hidden, waited) in steps.items()
    )


def plot_scaling(
    gpus: list[int],
    speeds: list[float],
    steps: dict[str, tuple[float, float, float]],
    title: str,
) -> Drawing:
    """Pictures a second by number of GPUs beside the ideal; what a step is made of."""
    figure, axes = make_axes(1, 2, 8.2, 3.4)
    left, right = axes[0]
    ideal = [speeds[0] * count / gpus[0] for count in gpus]
    left.plot(gpus, ideal, ":", color=GREY, label="as many times as fast")
    left.plot(gpus, speeds, "o-", color=BLUE, markersize=4, label="predicted")
    left.set_xscale("log", base=2)
    left.set_yscale("log", base=2)
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    left.set_xticks(gpus)
    left.set(xlabel="GPUs", ylabel="pictures a second")
    left.legend(fontsize=8)
    part = speeds[-1] / ideal[-1]
    left.set_title(f"{gpus[-1]} GPUs: {part:.0%} of the ideal")
    draw_steps(right, steps)
    right.set_title("one step")
    figure.suptitle(title, fontsize=11)
    return Drawing(
        figure,
        f"{title}: {speeds[0]:,.0f} pictures a second with {gpus[0]} GPU, {speeds[-1]:,.0f} with "
        f"{gpus[-1]}, {part:.0%} of the ideal. {speak_steps(steps)}",
    )


def plot_published(predicted: dict[str, float], published: dict[str, float]) -> Drawing:
    """Scaling efficiencies in 0..1 as predicted and as somebody measured them."""
    figure, axes = make_axes(width=7.5, height=2.6)
    axis = axes[0, 0]
    places = np.arange(len(predicted))
    for shift, values, label, colour in (
        (-0.18, predicted, "predicted", BLUE), (0.18, published, "published", ORANGE)
    ):  # fmt: skip
        bars = axis.barh(places + shift, list(values.values()), 0.34, label=label, color=colour)
        axis.bar_label(bars, [f"{value:.0%}" for value in values.values()], padding=3, fontsize=9)
    axis.set_yticks(places, list(predicted))
    axis.invert_yaxis()
    axis.set_xlim(0, 1.1)
    axis.xaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=0))
    axis.set_xlabel("scaling efficiency")
    axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    spoken = "; ".join(
        f"{name} {predicted[name]:.0%} predicted, {published[name]:.0%} published"
        for name in predicted
    )
    return Drawing(figure, f"Scaling efficiency: {spoken}")
