"""One picture that tells how well a head does, from what, and where it fails: made in milliseconds.

It is drawn with Pillow, not with matplotlib, because it is drawn anew while a slider moves.
"""

from collections.abc import Sequence
from functools import cache

from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from utils.drawings import BLUE, GREY, RED, Drawing, colour_of

WIDE, HIGH = 836, 446  # pixels: in JupyterLab it fits a projector of 1280 × 720, with the slider
PANEL, PANEL_TOP = 404, 160  # a panel's width, and where the two panels begin
TILE, COLUMNS, SHOWN_WRONG = 95, 4, 8  # pictures it gets wrong


@cache
def find_font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font of all other figures, in pixels."""
    weight = "bold" if bold else "normal"
    return ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans", weight=weight)), size)


def draw_head_report(
    correct: int,
    judged: int,
    interval: tuple[float, float],
    used: dict[str, Sequence[Image.Image]],
    wrong: Sequence[tuple[Image.Image, str]],
    levels: dict[str, float],
) -> Drawing:
    """Accuracy on a ruler with `levels` to compare with; pictures learned from; pictures got wrong.

    Of `judged` pictures it gets `correct` right, and `wrong` are (picture, caption) of up to
    SHOWN_WRONG others; `used` holds the pictures of each class, `levels` named accuracies.
    """
    accuracy, errors = correct / judged, judged - correct
    sheet = Image.new("RGB", (WIDE, HIGH), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((0, 36), f"{100 * accuracy:.1f} %", BLUE, find_font(36, True), "ls")
    count = sum(map(len, used.values()))
    each = max(map(len, used.values()))
    sentences = (
        f"right with {each:,} picture{'s' * (each > 1)} a class",
        f"95 % interval {100 * interval[0]:.1f}–{100 * interval[1]:.1f} %, "
        f"{correct:,} of {judged:,} validation pictures",
    )
    for line, sentence in enumerate(sentences):
        pen.text((178, 17 + 19 * line), sentence, "black", find_font(14), "ls")
    chance = 1 / len(used)
    draw_ruler(pen, accuracy, interval, {f"guessing {100 * chance:.0f} %": chance} | levels)
    pen.text((0, PANEL_TOP), f"It learned from {count:,} pictures", "black", find_font(15, True))
    room = (HIGH - PANEL_TOP - 24) // len(used)
    for number, (name, pictures) in enumerate(used.items()):
        top = PANEL_TOP + 24 + number * room
        pen.rectangle((0, top + 3, 9, top + 12), colour_of(number))
        pen.text((15, top), name, "black", find_font(12))
        paste_mosaic(sheet, pictures, (0, top + 18), (PANEL, room - 26))
    left = WIDE - PANEL
    title = f"It gets {errors:,} of {judged:,} new pictures wrong"
    title += f" ({len(wrong)} shown)" if errors > len(wrong) else ""
    pen.text((left, PANEL_TOP), title, "black", find_font(15, True))
    for place, (picture, caption) in enumerate(wrong):
        row, column = divmod(place, COLUMNS)
        corner = (left + column * (TILE + 8), PANEL_TOP + 24 + row * (TILE + 36))
        sheet.paste(picture.resize((TILE, TILE), Image.Resampling.BILINEAR), corner)
        box = (*corner, corner[0] + TILE - 1, corner[1] + TILE - 1)
        pen.rectangle(box, outline=RED, width=3)
        pen.text((corner[0], corner[1] + TILE + 2), f"✘ {caption}", "black", find_font(12))
    if not errors:
        pen.text((left, PANEL_TOP + 34), "✔ none this time", "black", find_font(14))
    description = (
        f"{accuracy:.1%} of {judged:,} new pictures right (95 % interval {interval[0]:.1%} to "
        f"{interval[1]:.1%}) after learning from {count:,} pictures; {errors:,} wrong. "
        + ", ".join(f"{name}: {level:.1%}" for name, level in levels.items())
    )
    return Drawing(sheet, description, photographic=True)


def draw_ruler(
    pen: ImageDraw.ImageDraw,
    accuracy: float,
    interval: tuple[float, float],
    levels: dict[str, float],
) -> None:
    """A scale of accuracy up to 100 %: named levels above it, the head's dot and interval on it."""
    start = max(0.0, int(10 * min(levels.values()) - 0.5) / 10)
    y, left, right = 114, 20, WIDE - 26

    def place(value: float) -> float:
        return left + (right - left) * (max(value, start) - start) / (1 - start)

    pen.line((left, y, right, y), GREY, 2)
    for tenth in range(round(10 * start), 11):
        x = place(tenth / 10)
        pen.line((x, y - 5, x, y + 5), GREY, 1)
        pen.text((x, y + 12), f"{10 * tenth} %", GREY, find_font(12), "ma")
    low, high = map(place, interval)
    pen.rounded_rectangle((low, y - 4, high, y + 4), 4, BLUE)
    ends: list[float] = []  # how far to the right each row of labels reaches
    labels = []
    for name, value in sorted(levels.items(), key=lambda item: item[1]):
        x, size = place(value), find_font(12).getlength(name)
        begin = min(max(left, x - size / 2), right + 26 - size)
        row = next((i for i, end in enumerate(ends) if begin > end + 10), len(ends))
        ends[row : row + 1] = [begin + size]
        labels.append((begin, y - 32 - 17 * row, begin + size, name))
        pen.line((x, y - 17 - 17 * row, x, y), GREY, 1)
        pen.polygon(((x, y - 7), (x + 6, y), (x, y + 7), (x - 6, y)), "white", "black")
    for begin, top, end, name in labels:  # after all lines, so that none runs through a word
        pen.rectangle((begin - 3, top, end + 3, top + 14), "white")
        pen.text((begin, top), name, "black", find_font(12))
    x = place(accuracy)
    pen.ellipse((x - 10, y - 10, x + 10, y + 10), BLUE, "white", 2)


def paste_mosaic(
    sheet: Image.Image,
    pictures: Sequence[Image.Image],
    corner: tuple[int, int],
    room: tuple[int, int],
) -> None:
    """All the pictures side by side, as large as the room (width, height) allows."""
    side = 110
    while True:
        gap = 4 if side > 24 else 1
        columns, rows = (max(1, (length + gap) // (side + gap)) for length in room)
        if (columns * rows >= len(pictures) and side <= room[1]) or side <= 4:
            break
        side -= 1
    needed = -(-len(pictures) // columns)
    columns = min(columns, -(-len(pictures) // needed))  # full rows, not a long and a short one
    for place, picture in enumerate(pictures[: columns * rows]):
        row, column = divmod(place, columns)
        tile = picture.resize((side, side), Image.Resampling.BILINEAR)
        sheet.paste(tile, (corner[0] + column * (side + gap), corner[1] + row * (side + gap)))
