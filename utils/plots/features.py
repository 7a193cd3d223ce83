"""Figures of a frozen backbone: its answers, what moves, what its features are good for."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from utils.files import count
from utils.plots import house
from utils.plots.house import BLUE, Drawing, format_percent, styled
from utils.plots.images import SHEET, find_font, stack, tile, to_image

SHOWN_USED, SHOWN_WRONG = 24, 8  # images of a head's report


@styled
def plot_guesses(images: Sequence, guesses: Sequence[Sequence[tuple[str, float]]]) -> Drawing:
    """Each image above a bar for each of its (name, probability in 0..1), the largest first."""
    rows = max(map(len, guesses))
    figure, axes = house.make_axes(2, len(images), 9, 9 / len(images) + 0.34 * rows)
    figure.set_layout_engine("constrained", h_pad=0.02, w_pad=0.04)
    spoken = []
    for number, (image, named) in enumerate(zip(images, guesses, strict=True)):
        above, below = axes[:, number]
        above.imshow(np.asarray(to_image(image)))
        house.hide_axes(above)
        values = [value for _, value in named]
        below.barh(range(len(named)), values, 0.86, color=BLUE, alpha=0.3)
        for place, (name, value) in enumerate(named):
            text = f"{value:.0%} {house.shorten(name, 72 // len(images))}".replace("%", " %")
            below.text(0.01, place, text, va="center", fontsize=11)
        below.set(xlim=(0, 1), ylim=(rows - 0.5, -0.5))
        house.hide_axes(below)
        listed = ", ".join(f"{name} {100 * value:.0f} %" for name, value in named)
        spoken.append(f"image {number + 1}: {listed}")
    return Drawing(figure, f"What the network answers: {'; '.join(spoken)}", photographic=True)


@styled
def plot_maps(
    maps: dict[str, np.ndarray],
    labels: Sequence[int],
    class_names: Sequence[str],
    notes: dict[str, str],
) -> Drawing:
    """Images as points [N, 2], a panel for each named map, with a note of its own below it."""
    figure, axes = house.make_axes(1, len(maps), 9, 9 / len(maps) + 1)
    groups = house.list_class_styles(np.asarray(labels), class_names)
    for axis, (name, points) in zip(axes[0], maps.items(), strict=True):
        for rows, style in groups:
            look = {"marker": style.marker, "color": style.colour, "label": style.label}
            axis.scatter(*np.asarray(points)[rows].T, s=22, alpha=0.65, lw=0, **look)
        axis.set(xticks=[], yticks=[])
        axis.set_title(name, fontsize=12)
        axis.set_xlabel(notes[name], fontsize=11)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    spoken = "; ".join(f"{name}: {notes[name]}" for name in maps).replace("\n", " ")
    shown = ", ".join(style.label for _, style in groups)
    return Drawing(figure, f"{len(labels):,} images as points. {spoken}. Classes: {shown}")


def draw_head_report(
    correct: int,
    seen: int,
    used: dict[str, Sequence],
    wrong: Sequence[tuple],
    levels: dict[str, float],
    images_per_class: int,
) -> Drawing:
    """One image of a head: how well it does, beside named `levels`; from what; where it fails.

    It gets `correct` of `seen` images right; `used` holds some training images of each class, and
    `wrong` are (image, caption) of those it gets wrong.
    """
    from utils.claims import find_interval  # not above: it imports torch

    (low, high), errors = find_interval(correct, seen), seen - correct
    head = f"{format_percent(correct / seen)} with {count(images_per_class, 'image')} per class"
    interval = f"95 % interval {format_percent(low)} to {format_percent(high)}"
    bars = draw_level_bars({"this head": correct / seen, **levels}, (low, high))
    parts: list[str | Image.Image] = [f"# {head}"]
    parts += [f"{interval}, {correct:,} of {seen:,} validation images", bars]
    names = [house.shorten(name, 30) for name in used]
    shown = [image for images in used.values() for image in images][:SHOWN_USED]
    if shown:
        some = "some of " * (len(shown) < images_per_class * len(used))
        listed = ", ".join(names[:4]) + ", …" * (len(names) > 4)
        parts += [f"# It learned from these ({some}{listed})", tile(shown, columns=SHOWN_USED // 2)]
    some = f", {SHOWN_WRONG} of them here" if errors > SHOWN_WRONG else ""
    parts += [f"# It gets {count(errors, 'new image')} wrong{some}" if errors else "# ✔ no mistake"]
    if wrong:
        images, captions = zip(*wrong[:SHOWN_WRONG], strict=True)
        parts.append(tile(images, captions, columns=SHOWN_WRONG))
    spoken = ", ".join(f"{name} {format_percent(level)}" for name, level in levels.items())
    text = f"{head} ({interval}, {correct:,} of {seen:,}); {errors:,} wrong. {spoken}"
    return Drawing(stack(parts), text, photographic=True)


def draw_level_bars(levels: dict[str, float], interval: tuple[float, float]) -> Image.Image:
    """Accuracies as bars from 0 to 100 %, the first one blue and with its interval."""
    high, left, right = 26, 330, SHEET - 90
    sheet = Image.new("RGB", (SHEET, high * len(levels) + 8), "white")
    pen = ImageDraw.Draw(sheet)

    def place(share: float) -> float:
        return left + share * (right - left)

    for row, (name, share) in enumerate(levels.items()):
        top = 2 + row * high
        pen.text((0, top), house.shorten(name, 36), "black", find_font())
        pen.rectangle((left, top, place(share), top + high - 6), "#BBBBBB" if row else BLUE)
        end = place(max(share, 0 if row else interval[1])) + 8
        pen.text((end, top), format_percent(share), "black", find_font())
    pen.line((place(interval[0]), 12, place(interval[1]), 12), "black", 3)
    return sheet
