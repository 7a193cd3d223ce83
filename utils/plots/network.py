"""Figures of one network: its architecture, a convolution in numbers, its answers, its limits."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle

from utils.drawings import BLUE, GREY, ORANGE, SKY, Drawing, colour_of, make_axes, to_pixels


def draw_architecture(layers: Sequence[tuple[str, tuple[int, ...]]], title: str = "") -> Drawing:
    """A box for each (name, shape), in order: height is the side, width the number of channels.

    Shapes are (channels, height, width), or (values,) for a vector; all on a square-root scale,
    without which the first box would hide the others.
    """
    figure, axes = make_axes(width=9, height=3)
    axis = axes[0, 0]
    axis.axis("off")
    largest = max(max(shape[1:], default=1) for _, shape in layers)
    kinds = list(dict.fromkeys(strip_digits(name) for name, _ in layers))
    place, spoken = 0.0, []
    for number, (name, shape) in enumerate(layers):
        if len(shape) == 3:
            side = (max(shape[1:]) / largest) ** 0.5
            wide = 0.045 * shape[0] ** 0.5
        else:
            side, wide = 0.06 * shape[0] ** 0.5, 0.05
        lean = 0.3 * side if len(shape) == 3 else 0.05
        draw_box(axis, place, wide, side, lean, colour_of(kinds.index(strip_digits(name))))
        text = " × ".join(f"{size:,}" for size in shape)
        low = -0.1 - 0.3 * (number % 2)  # two rows, so that neighbours have room
        middle = place + wide / 2
        axis.text(middle, low, f"{name}\n{text}", ha="center", va="top", fontsize=8.5)
        axis.plot([middle, middle], [low, -0.02], color=GREY, linewidth=0.6)
        spoken.append(f"{name} {text}")
        place += max(wide + lean + 0.12, 0.5)
    axis.set(xlim=(-0.3, place + 0.1), ylim=(-0.65, 1.35))
    axis.set_title(title)
    return Drawing(figure, f"{title or 'The layers'}: {', then '.join(spoken)}")


def strip_digits(name: str) -> str:
    """`conv` for `conv2`: layers of one kind have one colour."""
    return name.rstrip("0123456789")


def draw_box(axis: Axes, left: float, wide: float, side: float, lean: float, colour: str) -> None:
    """A cuboid seen from the front left: `wide` across, `side` high, `lean` into the page."""
    ends = ((left, 0), (wide, 0), (0, side), (lean, lean))
    corner, across, up, back = (np.array(end) for end in ends)
    right, top = corner + across, corner + up
    faces = (
        (1.0, [corner, right, right + up, top]),
        (0.65, [top, right + up, right + up + back, top + back]),
        (0.4, [right, right + back, right + up + back, right + up]),
    )
    for strength, points in faces:
        white = np.ones(3)
        shade = white + strength * (np.array(matplotlib.colors.to_rgb(colour)) - white)
        axis.add_patch(Polygon(points, facecolor=shade, edgecolor="black", linewidth=0.7))


def show_products(
    picture: np.ndarray, place: tuple[int, int], grids: dict[str, np.ndarray]
) -> Drawing:
    """A grey picture with a frame around 3×3 pixels, and three tables: pixels × kernel = products.

    `place` is the row and column of the first of the nine.
    """
    figure, axes = make_axes(1, 4, 9, 2.3)
    row, column = place
    axes[0, 0].imshow(picture, cmap="gray", vmin=0, vmax=1)
    frame = Rectangle((column - 0.5, row - 0.5), 3, 3, fill=False, edgecolor=ORANGE, linewidth=2)
    axes[0, 0].add_patch(frame)
    axes[0, 0].set_title("where the frame is", fontsize=10)
    axes[0, 0].axis("off")
    for axis, sign, (name, grid) in zip(axes[0, 1:], "×= ", grids.items(), strict=True):
        draw_grid(axis, np.asarray(grid), "{:.2f}")
        axis.set_title(name, fontsize=10)
        axis.text(1.09, 0.5, sign, transform=axis.transAxes, fontsize=16, ha="center", va="center")
    spoken = "; ".join(
        f"{name}: {', '.join(f'{value:.2f}' for value in np.asarray(grid).flat)}"
        for name, grid in grids.items()
    )
    return Drawing(figure, f"Nine pixels at row {row}, column {column}, row by row. {spoken}")


def draw_grid(axis: Axes, grid: np.ndarray, form: str) -> None:
    """One table: zero is middle grey, larger is lighter; each number stands in its square."""
    limit = max(abs(grid).max(), 1e-9)
    axis.imshow(grid, cmap="gray", vmin=-limit, vmax=limit)
    for (row, column), value in np.ndenumerate(grid):
        colour = "black" if value > -0.2 * limit else "white"
        axis.text(column, row, form.format(value), ha="center", va="center", fontsize=9,
                  color=colour)  # fmt: skip
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def show_kernels(kernels: dict[str, np.ndarray], filtered: Sequence[np.ndarray]) -> Drawing:
    """Each kernel in numbers, and below it the picture it makes (values 0..1)."""
    figure, axes = make_axes(2, len(kernels), 9, 3.6)
    for column, (name, kernel) in enumerate(kernels.items()):
        draw_grid(axes[0, column], np.asarray(kernel), "{:.3g}")
        axes[0, column].set_title(name, fontsize=10)
        axes[1, column].imshow(to_pixels(filtered[column]), cmap="gray", vmin=0, vmax=1)
        axes[1, column].axis("off")
    figure.get_layout_engine().set(h_pad=0.02, w_pad=0.02, rect=(0, 0, 1, 1))
    spoken = "; ".join(
        f"{name}: {', '.join(f'{value:.3g}' for value in np.asarray(kernel).flat)}"
        for name, kernel in kernels.items()
    )
    return Drawing(figure, f"Kernels, row by row, and what each makes of one picture. {spoken}")


def plot_repeats(
    values: dict[str, Sequence[float]], label: str, title: str = "", percent: bool = False
) -> Drawing:
    """A row of points for each name: the same thing measured again and again."""
    figure, axes = make_axes(width=7, height=1.1 + 0.5 * len(values))
    axis = axes[0, 0]
    form = "{:.1%}" if percent else "{:.2f}"
    spoken = []
    for row, (name, numbers) in enumerate(values.items()):
        # side by side, since equal numbers would lie on one another
        places = row + 0.5 * (np.arange(len(numbers)) / max(1, len(numbers) - 1) - 0.5)
        axis.plot(numbers, places, "o", markersize=5, alpha=0.7, color=colour_of(row))
        low, high = min(numbers), max(numbers)
        spoken.append(f"{name} from {form.format(low)} to {form.format(high)}")
    axis.set_yticks(range(len(values)), list(values))
    axis.set(xlabel=label, title=title, ylim=(len(values) - 0.5, -0.5))
    axis.margins(x=0.1)
    if percent:
        axis.xaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=None))
    return Drawing(figure, f"{title or label}: {'; '.join(spoken)}")


def plot_rates(losses: dict[str, Sequence[float]], untrained: float, title: str = "") -> Drawing:
    """Training loss by epoch, one line a learning rate, up to twice the untrained loss.

    What lies higher leaves the figure at the top, and its first value is written there.
    """
    figure, axes = make_axes(width=7.5, height=3.4)
    axis = axes[0, 0]
    top = 2 * untrained
    epochs = range(1, 1 + max(map(len, losses.values())))
    for number, (name, values) in enumerate(losses.items()):
        style = {"marker": "osD^"[number % 4], "markersize": 5, "color": colour_of(number)}
        axis.plot(epochs, values, label=name, **style)
        if values[0] > top:
            axis.text(1.05, top, f"↑ begins at {values[0]:.1f}", fontsize=9, va="top",
                      color=style["color"])  # fmt: skip
    axis.axhline(untrained, color=GREY, linestyle=":", label="untrained: ln(classes)")
    axis.set(ylim=(0, top), xlabel="epoch", ylabel="training loss", title=title)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize=9, title="learning rate", loc="center left", bbox_to_anchor=(1, 0.5))
    spoken = "; ".join(
        f"{name} from {values[0]:.2f} to {values[-1]:.2f}" for name, values in losses.items()
    )
    return Drawing(figure, f"Training loss by learning rate, untrained {untrained:.2f}: {spoken}")


def plot_learning_curve(
    points: Sequence[dict], line: Sequence[Sequence[float]], title: str = ""
) -> Drawing:
    """Accuracy against pictures, and a line through it that goes on beyond what was measured.

    A point is {"count", "accuracy", "low", "high", "note"}, its interval and what is written
    beside it; `line` is (counts, accuracies, lows, highs).
    """
    figure, axes = make_axes(width=7.5, height=3.8)
    axis = axes[0, 0]
    x, y, low, high = map(np.asarray, line)
    last = points[-1]["count"]
    axis.fill_between(
        x, low, high, color=SKY, alpha=0.25, lw=0, label="what other validation sets might say"
    )
    axis.plot(x[x <= last], y[x <= last], color=BLUE, label="fitted line")
    axis.plot(x[x >= last], y[x >= last], "--", color=BLUE, label="extrapolation: nobody measured")
    for point in points:
        error = [[point["accuracy"] - point["low"]], [point["high"] - point["accuracy"]]]
        axis.errorbar(point["count"], point["accuracy"], error, fmt="o", capsize=4, color=ORANGE,
                      markeredgecolor="black", ecolor="black", linewidth=1.2, zorder=3)  # fmt: skip
        axis.annotate(point["note"], (point["count"], point["accuracy"]), (9, -6), fontsize=9,
                      textcoords="offset points", va="top")  # fmt: skip
    axis.axvline(last, color=GREY, linewidth=0.8, linestyle=":")
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    axis.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=0))
    axis.set(xlabel="training pictures a class (each step doubles them)", title=title)
    axis.set_ylabel("validation accuracy")
    axis.set_ylim(min(p["low"] for p in points) - 0.05, 1.02)
    axis.legend(fontsize=9, loc="lower right")
    spoken = "; ".join(
        f"{p['count']:,} pictures a class {p['accuracy']:.1%} (95 % interval {p['low']:.1%} to "
        f"{p['high']:.1%})"
        for p in points
    )
    furthest = max(np.flatnonzero(y <= 1), default=0)  # beyond, the line is outside the figure
    end = f"the fitted line reaches {min(y[-1], 1):.1%} at {x[furthest]:,.0f}"
    return Drawing(figure, f"{title or 'Accuracy against pictures'}: {spoken}; {end}")
