"""Decks from the notebooks' slide metadata, that open without a network: `make slides`.

A cell is on a slide where its metadata say so (JupyterLab: Property Inspector, Slide Type): `slide`
and `subslide` begin one, `-` and `fragment` go on with it, `notes` are for the speaker alone. What
has no slide type is left out. Of a code cell with a figure the figure is shown, and the code as
well where it is tagged `lesson`: the figure needs the room.
"""

import importlib.resources
import re
import shutil
import sys
from html import escape
from pathlib import Path

from nbformat import NotebookNode

from utils.errors import CourseError
from utils.notebook_cleaning import read_notebook
from utils.notebook_html import (
    ASSETS,
    PageRenderer,
    find_link,
    render_code,
    render_markdown,
    render_output,
    render_page,
)
from utils.notebooks import find_notebooks
from utils.settings import ROOT

SLIDES = ROOT / "_build" / "slides"
REVEAL_FILES = ("LICENSE", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js")
Slide = list[tuple[str, NotebookNode]]  # (slide type, cell)


def collect_slides(notebook: NotebookNode) -> list[list[Slide]]:
    """Slides in columns, as reveal.js has them: each column is a slide and its subslides.

    Raises CourseError where a cell goes on with a slide before there is one, or has a slide type
    that there is not.
    """
    columns: list[list[Slide]] = []
    for number, cell in enumerate(notebook.cells, 1):
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "skip")
        if kind not in ("slide", "subslide", "fragment", "-", "notes", "skip"):
            raise CourseError(f"Cell {number} has the slide type {kind!r}, which there is not.")
        if kind == "skip":
            continue
        if kind == "slide":
            columns.append([[]])
        elif not columns:
            raise CourseError(f"Cell {number} comes before the first slide: make it one.")
        elif kind == "subslide":
            columns[-1].append([])
        columns[-1][-1].append((kind, cell))
    if not columns:
        raise CourseError("No cell has the slide type `slide`: there is nothing to show.")
    return columns


def render_shown(cell: NotebookNode, renderer: PageRenderer) -> str:
    """What an audience sees of a cell; the answers of questions come with the next key."""
    if cell.cell_type == "markdown":
        html = render_markdown(cell.source, renderer)
        html = re.sub(
            r"<details>\s*<summary>(.*?)</summary>", r'<div class="fragment answer"><b>\1</b>', html
        )
        return html.replace("</details>", "</div>")
    outputs = "".join(render_output(output, renderer) for output in cell.outputs)
    if "<figure>" in outputs and "lesson" not in cell.metadata.get("tags", []):
        return outputs
    return render_code(cell.source) + outputs


def render_slide(slide: Slide, renderer: PageRenderer, where: str) -> str:
    """One slide as reveal.js's section, with the speaker's notes, and where we are at its foot."""
    shown = notes = ""
    for kind, cell in slide:
        html = render_shown(cell, renderer)
        if kind == "notes":
            notes += html
        elif kind == "fragment":
            shown += f'<div class="fragment">{html}</div>\n'
        else:
            shown += html
    aside = f'<aside class="notes">{notes}</aside>\n' if notes else ""
    foot = f'<p class="where">{where}</p>\n'
    return f'<section>\n<div class="page">\n{shown}</div>\n{foot}{aside}</section>\n'


def render_deck(title: str, columns: list[list[Slide]], renderer: PageRenderer) -> str:
    """A whole deck; it expects reveal.js in a folder of that name beside it."""
    sections = section = ""
    for column in columns:
        slides = ""
        for slide in column:
            shown = "\n".join(cell.source for _, cell in slide if cell.cell_type == "markdown")
            section = next(iter(re.findall(r"^## (.+)$", shown, re.MULTILINE)), section)
            where = f"{title} · {section}" if section else title
            slides += render_slide(slide, renderer, escape(where))
        sections += slides if len(column) == 1 else f"<section>\n{slides}</section>\n"
    style = "\n".join((ASSETS / name).read_text("utf-8") for name in ("palette.css", "deck.css"))
    script = (ASSETS / "deck.js").read_text("utf-8")
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}: slides</title>
<link rel="stylesheet" href="reveal.js/dist/reveal.css">
<style>
{style}</style>
</head>
<body>
<div class="reveal"><div class="slides">
{sections}</div></div>
<script src="reveal.js/dist/reveal.js"></script>
<script src="reveal.js/plugin/notes/notes.js"></script>
<script>
{script}</script>
</body>
</html>
"""


def find_reveal() -> Path:
    """The folder of reveal.js (MIT licence), which the package sphinx-revealjs carries.

    Raises CourseError where the package is not installed.
    """
    try:
        return Path(str(importlib.resources.files("sphinx_revealjs"))) / "_static" / "revealjs"
    except ModuleNotFoundError as error:
        raise CourseError(
            "The package that carries reveal.js is missing: use `make slides`, which installs it, "
            "or `pip install -r tests/requirements.txt`."
        ) from error


def build_slides(destination: Path, notebooks: list[Path]) -> dict[Path, int]:
    """Writes a deck a notebook into `destination`, which is made anew; decks and their slides."""
    reveal, decks = find_reveal(), {}
    for path in notebooks:
        try:
            decks[path] = collect_slides(read_notebook(path))
        except CourseError as error:
            raise CourseError(f"{path.stem}: {error}") from error
    shutil.rmtree(destination, ignore_errors=True)
    for name in REVEAL_FILES:
        target = destination / "reveal.js" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(reveal.joinpath(name).read_bytes())
    neighbours = {path.resolve(): f"{path.stem}.html" for path in notebooks}
    written, items = {}, ""
    for path, columns in decks.items():
        title = columns[0][0][0][1].source.splitlines()[0].lstrip("# ")
        renderer = PageRenderer(path.parent, find_link(path.parent, neighbours))
        deck = destination / f"{path.stem}.html"
        deck.write_text(render_deck(title, columns, renderer), encoding="utf-8")
        written[deck] = sum(map(len, columns))
        link = f'<a href="{deck.name}">{escape(title)}</a>'
        items += f'<li value="{int(path.name[:2])}">{link}</li>\n'
    keys = "<p>Arrow keys or space: on. S: speaker's notes. F: full screen. O: all slides.</p>\n"
    page = render_page("Slides", f"<h1>Slides</h1>\n<ol>\n{items}</ol>\n{keys}")
    (destination / "index.html").write_text(page, encoding="utf-8")
    return written


def main() -> int:
    """Builds the decks; returns the exit code."""
    try:
        written = build_slides(SLIDES, find_notebooks())
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    for deck, slides in written.items():
        print(f"{deck.stem:<28} {slides:>3} slides")
    print(f"To show: {(SLIDES / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
