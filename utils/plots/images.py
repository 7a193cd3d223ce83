"""Grids of images, drawn with Pillow: in milliseconds, so that controls can redraw them."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont, ImageOps

from utils.plots.house import Drawing, shorten, spell

SHEET = 1056  # pixels across, which fits JupyterLab's page on a projector
LARGEST_TILE = 240
GAP = 6
TEXT = 17  # pixels: 11 pt or more on the page
DARK_GREEN, DARK_RED = "#006E50", "#A84400"  # as ink, on white
LISTED = 24  # captions that a description lists one by one
ANSWERS = ("wrong", "right")


@cache
def find_font(size: int = TEXT, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font of all other figures, in pixels."""
    weight = "bold" if bold else "normal"
    return ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans", weight=weight)), size)


def to_image(image: object) -> Image.Image:
    """Any image as one of Pillow's.

    A file's path; a tensor or array [3, H, W], [H, W, 3] or [H, W], uint8 or float in 0..1; or
    (image, label), as datasets give it.
    """
    if isinstance(image, tuple):
        image = image[0]
    if isinstance(image, (str, Path)):
        image = Image.open(image)  # its file is closed when it has been read
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    if hasattr(image, "detach"):
        image = image.detach().cpu().numpy()
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[-1] not in (1, 3):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.dtype != np.uint8:
        pixels = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(pixels.squeeze()).convert("RGB")


def fit(text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """The text, or as much of it as has room in `width` pixels, with … at its end."""
    while font.getlength(text) > width and len(text) > 1:
        text = f"{text.rstrip('…')[:-1]}…"
    return text


def wrap(text: str, width: int, font: ImageFont.FreeTypeFont, most: int = 2) -> list[str]:
    """The text in up to `most` lines of at most `width` pixels; what does not fit ends with …."""
    lines = [""]
    for paragraph in spell(str(text).replace(" %", "\u00a0%")).split("\n"):
        for word in paragraph.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            has_room = font.getlength(longer) <= width or not lines[-1]
            lines[-1:] = [longer] if has_room else [lines[-1], word]
            lines[-1] = fit(lines[-1], width, font)  # a word alone; what follows has a line, too
        lines.append("")
    lines = [line for line in lines if line]
    if len(lines) > most:
        lines[most - 1] = fit(" ".join(lines[most - 1 :]), width, font)
    return lines[:most]


def tile(
    images: Sequence,
    captions: Sequence[str] = (),
    columns: int = 8,
    colours: Sequence[str] = (),
    width: int = SHEET,
) -> Image.Image:
    """Images side by side in a grid, each with its caption (and colour, where given) above it."""
    side = min(LARGEST_TILE, (width + GAP) // columns - GAP)
    font = find_font()
    texts = [wrap(caption, side, font) for caption in captions]
    above = (TEXT + 4) * max(map(len, texts), default=0)
    rows = -(-len(images) // columns)
    across = max(1, min(columns, len(images))) * (side + GAP) - GAP
    sheet = Image.new("RGB", (across, rows * (side + above + GAP)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        left, top = column * (side + GAP), row * (side + above + GAP)
        if number < len(texts):
            colour = colours[number] if len(colours) else "black"
            for line, text in enumerate(reversed(texts[number]), 1):
                pen.text((left, top + above - line * (TEXT + 4)), text, colour, font)
        shown = to_image(image)
        small = max(shown.size) <= side // 2  # a kernel or feature map: its pixels are the message
        method = Image.Resampling.NEAREST if small else Image.Resampling.BILINEAR
        shown = ImageOps.contain(shown, (side, side), method)
        corner = (left + (side - shown.width) // 2, top + above)
        sheet.paste(shown, corner)
        if small:  # it may be as white as the page
            end = (corner[0] + shown.width - 1, corner[1] + shown.height - 1)
            pen.rectangle((corner, end), outline="#AAAAAA")
    return sheet


def stack(parts: Sequence[str | Image.Image]) -> Image.Image:
    """Lines of text and images below each other; a text that starts with `# ` is a heading."""
    wide = max((part.width for part in parts if isinstance(part, Image.Image)), default=SHEET)
    blocks = [write_text(part, wide) if isinstance(part, str) else part for part in parts]
    sheet = Image.new("RGB", (wide, sum(block.height for block in blocks)), "white")
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height
    return sheet


def write_text(text: str, width: int) -> Image.Image:
    """A text of up to three lines, `width` pixels wide; as a heading if it starts with `# `."""
    font = find_font(TEXT + 3, bold=True) if text.startswith("# ") else find_font()
    lines = wrap(text.removeprefix("# "), width, font, most=3)
    block = Image.new("RGB", (width, 4 + len(lines) * round(font.size + 6)), "white")
    ImageDraw.Draw(block).multiline_text((0, 2), "\n".join(lines), "black", font, spacing=4)
    return block


def show_images(
    images: Sequence,
    titles: Sequence[str] = (),
    columns: int = 8,
    title: str = "",
    correct: Sequence[bool] = (),
) -> Drawing:
    """A grid of images (see `to_image`), each with its title above it.

    `correct` marks each title with ✔ or ✘, and with a colour.
    """
    captions, words = [str(name) for name in titles], [" ".join(str(n).split()) for n in titles]
    colours = []
    if len(correct):
        captions = [f"{'✔' if c else '✘'}\u00a0{n}" for n, c in zip(captions, correct, strict=True)]
        words = [n if c else f"{n} (wrong)" for n, c in zip(words, correct, strict=True)]
        colours = [DARK_GREEN if c else DARK_RED for c in correct]
    sheet = tile(images, captions, max(1, min(columns, len(images))), colours)
    if title:
        sheet = stack([f"# {title}", sheet] if len(images) else [f"# {title}: none"])
    spoken = ", ".join(words)
    if len(words) > LISTED:  # a long list is no description: how many of each
        counts = Counter(words).most_common()
        spoken = ", ".join(f"{count} {shorten(name, 40)}" for name, count in counts[:LISTED])
        spoken += f" and {len(counts) - LISTED} others" if len(counts) > LISTED else ""
    description = f"{title or 'Images'} ({len(images)})"
    return Drawing(sheet, f"{description}: {spoken}" if spoken else description, photographic=True)


def plot_paired_table(
    before: Sequence[bool], after: Sequence[bool], images: Sequence, title: str
) -> Drawing:
    """The four ways in which two networks answer the same images, counted and with some of them.

    `before` and `after` say which answers of the frozen and of the unfrozen network are right, in
    the order of `images`.
    """
    first, then = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    wide, shown, high = SHEET // 2 - 12, 5, 160
    sheet = Image.new("RGB", (SHEET, 2 * high), "white")
    pen = ImageDraw.Draw(sheet)
    spoken = []
    for number, (old, new) in enumerate(((1, 1), (1, 0), (0, 1), (0, 0))):
        rows = np.flatnonzero((first == old) & (then == new))
        left, top = 4 + number % 2 * (SHEET // 2), number // 2 * high
        kind = {(1, 0): "lost: ", (0, 1): "gained: "}.get((old, new), "")
        pen.rectangle((left - 4, top, left + wide + 4, top + high - 8), outline="#999999", width=2)
        pen.text((left + 6, top + 6), f"{len(rows):,}", "black", find_font(26, bold=True))
        words = f"{kind}frozen {'✘✔'[old]} · unfrozen {'✘✔'[new]}"
        pen.text((left + 96, top + 12), words, "black", find_font(TEXT))
        if len(rows):
            some = [images[int(row)] for row in rows[:shown]]
            width = (wide - 8) * len(some) // shown
            sheet.paste(tile(some, columns=len(some), width=width), (left + 6, top + 44))
        spoken.append(f"{len(rows):,} frozen {ANSWERS[old]} and unfrozen {ANSWERS[new]}")
    text = f"{title} ({len(before):,}): {', '.join(spoken)}"
    return Drawing(stack([f"# {title}", sheet]), text, photographic=True)
