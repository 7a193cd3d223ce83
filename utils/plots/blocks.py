"""Drawings of what ResNets are made of: the residual block and the bottleneck."""

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from utils.drawings import BLUE, GREEN, GREY, ORANGE, Drawing, make_axes

BLOCKS = {
    "A residual block": (
        ("3×3 convolution", BLUE),
        ("batch norm, ReLU", GREY),
        ("3×3 convolution", BLUE),
        ("batch norm", GREY),
    ),
    "A bottleneck, as in ResNet-101": (
        ("1×1 convolution: 256 → 64 channels", ORANGE),
        ("batch norm, ReLU", GREY),
        ("3×3 convolution: 64 → 64", BLUE),
        ("batch norm, ReLU", GREY),
        ("1×1 convolution: 64 → 256", ORANGE),
        ("batch norm", GREY),
    ),
}


def draw_blocks() -> Drawing:
    """The residual block and the bottleneck, side by side, with the names of the five lines."""
    figure, axes = make_axes(1, 2, 9, 4.4)
    for axis, (title, layers) in zip(axes[0], BLOCKS.items(), strict=True):
        draw_block(axis, layers)
        axis.set(xlim=(-2.4, 2.4), ylim=(0.1, 8.6), title=title)
        axis.axis("off")
    return Drawing(
        figure,
        "Two residual blocks. In each the input x goes two ways: through the layers (left: two 3×3 "
        "convolutions; right: 1×1 to fewer channels, 3×3, 1×1 back to 256 channels), and past "
        "them, unchanged. Both are added, then comes ReLU.",
    )


def draw_block(axis: Axes, layers: tuple[tuple[str, str], ...]) -> None:
    """One block from its input at the top to its output at the bottom."""
    top, bottom, middle, side = 8.0, 0.2, -0.45, 1.95
    low, high = 2.3, 7.2  # where the layers stand
    step = (high - low) / len(layers)
    axis.text(middle, top + 0.1, "x", ha="center", va="bottom", fontsize=12, style="italic")
    frame = FancyBboxPatch(
        (middle - 1.75, low - 0.12), 3.5, high - low + 0.24,
        boxstyle="round,pad=0,rounding_size=0.15", fill=False, ec=GREY, ls="--", lw=1,
    )  # fmt: skip
    axis.add_patch(frame)
    axis.text(middle - 1.85, (low + high) / 2, "layers(x)", rotation=90, ha="right", va="center",
              family="monospace", fontsize=9)  # fmt: skip
    for place, (name, colour) in enumerate(layers):
        centre = high - (place + 0.5) * step
        tall = min(0.72, step * 0.78)
        box = FancyBboxPatch(
            (middle - 1.6, centre - tall / 2), 3.2, tall, boxstyle="round,pad=0,rounding_size=0.1",
            fc=colour, ec="none", alpha=0.28 if colour != GREY else 0.14,
        )  # fmt: skip
        axis.add_patch(box)
        axis.text(middle, centre, name, ha="center", va="center", fontsize=9)
    plus = 1.55
    draw_arrow(axis, [(middle, top), (middle, high + 0.12)])
    draw_arrow(axis, [(middle, low - 0.12), (middle, plus + 0.26)])
    draw_arrow(
        axis, [(middle, top - 0.35), (side, top - 0.35), (side, plus), (middle + 0.27, plus)], GREEN
    )
    axis.text(side + 0.1, (low + high) / 2, "x, unchanged", rotation=270, ha="left", va="center",
              fontsize=9, color=GREEN)  # fmt: skip
    axis.plot(middle, plus, "o", markersize=19, mfc="white", mec="black", mew=1.2, zorder=3)
    axis.text(middle, plus, "+", ha="center", va="center_baseline", fontsize=14, zorder=4)
    axis.text(middle - 0.4, plus, "x + layers(x)", ha="right", va="center",
              family="monospace", fontsize=9)  # fmt: skip
    draw_arrow(axis, [(middle, plus - 0.26), (middle, bottom)])
    axis.text(middle + 0.15, (plus - 0.26 + bottom) / 2, "relu", ha="left", va="center",
              family="monospace", fontsize=9)  # fmt: skip


def draw_arrow(axis: Axes, points: list[tuple[float, float]], colour: str = "black") -> None:
    """A line through the points with a head at the last one."""
    across, down = zip(*points[:-1], strict=True)
    axis.plot(across, down, color=colour, lw=1.6, solid_joinstyle="round")
    head = FancyArrowPatch(
        points[-2], points[-1], arrowstyle="-|>", mutation_scale=11, color=colour, lw=1.6,
        shrinkA=0, shrinkB=0,
    )  # fmt: skip
    axis.add_patch(head)
