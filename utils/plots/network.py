"""Figures of a network from inside: its layers, a convolution in numbers, feature maps, descent."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle
from PIL import Image

from utils.plots import house
from utils.plots.house import BLUE, COLOURS, GREEN, GREY, ORANGE, RED, Drawing, styled
from utils.plots.images import SHEET, stack, tile


@styled
def draw_architecture(layers: Sequence[tuple[str, tuple[int, ...]]], title: str = "") -> Drawing:
    """A box for each (name, shape), in order: height is the side, width the number of channels.

    Shapes are (channels, height, width), or (values,) for a vector; all on a square-root scale,
    without which the first box would hide the others.
    """
    figure, axes = house.make_axes(width=9, height=3.6)
    axis = axes[0, 0]
    house.hide_axes(axis)
    largest = max(max(shape[1:], default=1) for _, shape in layers)
    kinds = list(dict.fromkeys(name.rstrip("0123456789") for name, _ in layers))
    place, spoken = 0.0, []
    for number, (name, shape) in enumerate(layers):
        if len(shape) == 3:
            side, wide = (max(shape[1:]) / largest) ** 0.5, 0.045 * shape[0] ** 0.5
        else:
            side, wide = min(1.2, 0.04 * shape[0] ** 0.5), 0.05
        lean = 0.3 * side if len(shape) == 3 else 0.05
        colour = COLOURS[kinds.index(name.rstrip("0123456789")) % len(COLOURS)]
        draw_cuboid(axis, (place, 0), (wide, side, lean), colour)
        text = " × ".join(f"{size:,}" for size in shape)
        # In two rows, so that neighbours have room.
        low, middle = -0.08 - 0.36 * (number % 2), place + wide / 2
        axis.text(
            middle, low, f"{house.shorten(name, 14)}\n{text}", ha="center", va="top", fontsize=11
        )
        axis.plot([middle, middle], [low, -0.02], color=GREY, linewidth=0.6)
        spoken.append(f"{name} {text}")
        place += max(wide + lean + 0.12, 0.55)
    axis.set(xlim=(-0.4, place + 0.2), ylim=(-0.85, 1.35), title=title)
    return Drawing(figure, f"{title or 'The layers'}: {', then '.join(spoken)}")


def draw_cuboid(
    axis: Axes, corner: tuple[float, float], size: tuple[float, float, float], colour: str
) -> None:
    """A cuboid seen from the front left; `size` is (wide, high, into the page)."""
    wide, high, lean = size
    front, across, up, back = (np.array(p) for p in (corner, (wide, 0), (0, high), (lean, lean)))
    right, top = front + across, front + up
    faces = (
        (1.0, [front, right, right + up, top]),
        (0.65, [top, right + up, right + up + back, top + back]),
        (0.4, [right, right + back, right + up + back, right + up]),
    )
    paint = np.array(matplotlib.colors.to_rgb(colour))
    for strength, points in faces:
        shade = 1 + strength * (paint - 1)
        axis.add_patch(Polygon(points, facecolor=shade, edgecolor="black", linewidth=0.7))


def draw_numbers(axis: Axes, grid, name: str, low: float | None = None) -> None:
    """A table of numbers on greys from `low` (black) to 1, or without it around zero (middle)."""
    grid = np.asarray(grid, dtype=float)
    limit = max(abs(grid).max(), 1e-9)
    low, high = (-limit, limit) if low is None else (low, 1.0)
    axis.imshow(grid, cmap="gray", vmin=low, vmax=high)
    for (row, column), value in np.ndenumerate(grid):
        ink = "black" if value > low + 0.45 * (high - low) else "white"
        text = f"{value:.2g}" if value == round(value) else f"{value:.2f}"
        axis.text(column, row, text, ha="center", va="center", fontsize=11, color=ink)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(visible=True, color=GREY, linewidth=0.8)
    axis.set_title(name, fontsize=12)


@styled
def show_products(image, place: tuple[int, int], grids: dict[str, np.ndarray]) -> Drawing:
    """A grey image [H, W] in 0..1 with a frame around 3×3 pixels; pixels × kernel = products.

    `place` is the row and column of the first of the nine, `grids` the three named tables; below
    the last one stands its sum, which is what the convolution answers at this place.
    """
    figure, axes = house.make_axes(1, 4, 9, 2.7)
    (row, column), first = place, axes[0, 0]
    first.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=1)
    frame = Rectangle((column - 0.5, row - 0.5), 3, 3, fill=False, edgecolor=ORANGE, linewidth=2.5)
    first.add_patch(frame)
    house.hide_axes(first)
    first.set_title("the place", fontsize=12)
    spoken = []
    for number, (axis, (name, grid)) in enumerate(zip(axes[0, 1:], grids.items(), strict=True)):
        draw_numbers(axis, grid, name, 0.0 if number == 0 else None)  # pixels: 0 is black
        sign = "×= "[number]
        axis.text(1.1, 0.5, sign, transform=axis.transAxes, fontsize=16, ha="center", va="center")
        values = ", ".join(f"{value:.2f}" for value in np.asarray(grid).flat)
        spoken.append(f"{name}: {values}")
    total = float(np.asarray(grid).sum())
    axis.set_xlabel(f"sum = {total:.2f}", fontsize=13, weight="bold")
    spoken = "; ".join(spoken)
    return Drawing(figure, f"Row {row}, column {column}, row by row. {spoken}; sum {total:.2f}")


@styled
def show_kernels(kernels: dict[str, np.ndarray]) -> Drawing:
    """Each named kernel in numbers: zero is grey, larger is lighter."""
    figure, axes = house.make_axes(1, len(kernels), 9, 2.1)
    for axis, (name, kernel) in zip(axes[0], kernels.items(), strict=True):
        draw_numbers(axis, kernel, name)
    spoken = "; ".join(
        f"{name}: {', '.join(f'{value:.3g}' for value in np.asarray(kernel, dtype=float).flat)}"
        for name, kernel in kernels.items()
    )
    return Drawing(figure, f"Kernels, row by row. {spoken}")


def show_filtered(results: dict[str, np.ndarray]) -> Drawing:
    """What each named kernel makes of one image: [H, W] in 0..1, white is a strong answer."""
    names = list(results)
    sheet = tile(list(results.values()), names, columns=len(names))
    return Drawing(sheet, f"One image filtered with {', '.join(names)}", photographic=True)


def show_feature_maps(image, stages: dict[str, Sequence], columns: int = 8) -> Drawing:
    """The input, and beside it for each stage, with its name, feature maps [H, W], 0 or more.

    Each stage is on one scale: black is zero, white the largest value that is no outlier.
    """
    beside = SHEET - 230
    rows, spoken = [], []
    for name, maps in stages.items():
        maps = [np.asarray(each, dtype=float) for each in maps]
        limit = max(float(np.quantile(np.stack(maps), 0.995)), 1e-6)
        rows += [name, tile([each / limit for each in maps], columns=columns, width=beside)]
        height, width = maps[0].shape
        spoken.append(f"{name}: {len(maps)} maps of {height} × {width}")
    left = stack(["input", tile([image], width=210)])
    right = stack(rows, beside)
    sheet = Image.new("RGB", (SHEET, max(left.height, right.height)), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(right, (230, 0))
    return Drawing(sheet, f"An image and its feature maps. {'; '.join(spoken)}", photographic=True)


@styled
def plot_descent(curve: tuple[Sequence, Sequence], steps: Sequence[tuple[float, float]]) -> Drawing:
    """Loss against one weight, `curve` being (weights, losses), and the steps taken downhill.

    `steps` are (weight, loss) from the start on; what one step does is written at the first.
    """
    figure, axes = house.make_axes(width=7.5, height=3.8)
    axis = axes[0, 0]
    axis.plot(*curve, color=GREY, label="loss")
    for number, ((x, y), (next_x, next_y)) in enumerate(zip(steps, steps[1:], strict=False), 1):
        house.draw_arrow(axis, [(x, y), (next_x, next_y)], RED)
        middle = ((x + next_x) / 2, (y + next_y) / 2)
        house.note(axis, f"step {number}", middle, (10, 4))
    axis.plot(*zip(*steps, strict=True), "o", color=BLUE, markersize=9)
    house.note(axis, "start", steps[0], (10, 6))
    axis.set(xlabel="one weight", ylabel="loss", title="Each step goes downhill: − rate × slope")
    spoken = ", then ".join(f"loss {y:.3g} at weight {x:.3g}" for x, y in steps)
    return Drawing(figure, f"Loss against one weight, {len(steps) - 1} steps downhill: {spoken}")


@styled
def plot_repeats(
    values: dict[str, Sequence[float]], label: str, title: str = "", zero: str = ""
) -> Drawing:
    """A row of dots for each name: the same thing measured again and again.

    `zero` is what the side above zero means, such as "says cat": then zero is marked.
    """
    figure, axes = house.make_axes(width=7.5, height=1.4 + 0.6 * len(values))
    axis = axes[0, 0]
    spoken = []
    for row, (style, numbers) in enumerate(house.zip_styles(values)):
        # Side by side, since equal numbers would lie on one another.
        places = row + 0.5 * (np.arange(len(numbers)) / max(1, len(numbers) - 1) - 0.5)
        axis.plot(numbers, places, style.marker, markersize=7, alpha=0.75, color=style.colour)
        low, high = house.format_number(min(numbers)), house.format_number(max(numbers))
        spoken.append(f"{style.label} from {low} to {high}")
    if zero:
        axis.axvline(0, color="black", ls=":", lw=1.5)
        house.note(axis, f"{zero} →", (0, -0.42), (6, 0))
    axis.set_yticks(range(len(values)), [house.shorten(name, 30) for name in values])
    axis.set(xlabel=label, title=title, ylim=(len(values) - 0.5, -0.75))
    axis.margins(x=0.1)
    return Drawing(figure, f"{title or label}: {'; '.join(spoken)}")


BLOCKS = {
    "A residual block": (("3×3 convolution", BLUE), ("batch norm, ReLU", GREY))
    + (("3×3 convolution", BLUE), ("batch norm", GREY)),
    "A bottleneck, as in ResNet-101": (("1×1 convolution: 256 → 64", ORANGE),)
    + (
        ("batch norm, ReLU", GREY),
        ("3×3 convolution: 64 → 64", BLUE),
        ("batch norm, ReLU", GREY),
    )
    + (("1×1 convolution: 64 → 256", ORANGE), ("batch norm", GREY)),
}


@styled
def draw_residual_blocks() -> Drawing:
    """The residual block and the bottleneck: the input goes through the layers and past them."""
    figure, axes = house.make_axes(1, 2, 9, 5)
    for axis, (title, layers) in zip(axes[0], BLOCKS.items(), strict=True):
        house.hide_axes(axis)
        axis.set(xlim=(-2.6, 2.6), ylim=(0, 8.9), title=title)
        step = 5.2 / len(layers)
        for place, (name, colour) in enumerate(layers):
            house.draw_box(
                axis, (-0.4, 7.4 - (place + 0.5) * step), (3.8, 0.8 * step), name, colour
            )
        house.draw_arrow(axis, [(-0.4, 8.4), (-0.4, 7.4)])
        house.draw_arrow(axis, [(-0.4, 2.2), (-0.4, 1.75)])
        skip = [(-0.4, 7.9), (2, 7.9), (2, 1.35), (0.55, 1.35)]
        house.draw_arrow(axis, skip, GREEN)
        house.draw_box(axis, (-0.4, 1.35), (1.8, 0.75), "add, ReLU", GREEN)
        house.draw_arrow(axis, [(-0.4, 0.95), (-0.4, 0.2)])
        axis.text(-0.55, 8.45, "x", ha="right", style="italic")
        axis.text(2.1, 4.8, "skip connection: x", rotation=270, va="center", fontsize=11)
    return Drawing(
        figure,
        "Two residual blocks. In each the input x goes two ways: through the layers (left: two "
        "3×3 convolutions; right: 1×1 from 256 to 64 channels, 3×3, 1×1 back to 256), and past "
        "them, unchanged, by the skip connection. Both are added, then comes ReLU.",
    )
