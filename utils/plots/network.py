"""Figures of notebook 02: a convolution in numbers, what kernels do, steps downhill."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from utils.plots import house
from utils.plots.house import BLUE, GREY, ORANGE, RED, Drawing, styled


def draw_numbers(axis: Axes, grid: object, name: str, low: float | None = None) -> None:
    """A table of numbers on greys from `low` (black) to 1, or without it around zero (middle)."""
    grid = np.asarray(grid, dtype=float)
    limit = max(float(abs(grid).max()), 1e-9)
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
def show_products(image: object, place: tuple[int, int], grids: dict[str, np.ndarray]) -> Drawing:
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
    where = f"Row {row}, column {column}, row by row"
    return Drawing(figure, f"{where}. {'; '.join(spoken)}; sum {total:.2f}")


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
