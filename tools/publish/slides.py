"""Decks from the notebooks' slide metadata, that open without a network: `make slides`.

A cell is on a slide where its metadata say so (JupyterLab: Property Inspector, Slide Type). What
has no slide type is left out. Of a code cell with a figure the figure is shown, and the code as
well where it is tagged `lesson`: the figure needs the room.
"""

import importlib.resources
import re
import shutil
import sys
from pathlib import Path

from nbconvert import SlidesExporter
from nbformat import NotebookNode
from traitlets.config import Config

from tools.cleaning import read_notebook
from tools.execution import embed_images
from tools.notebooks import find_notebooks
from utils.settings import ROOT, CourseError, print_anything

SLIDES = ROOT / "_build" / "slides"
DECK = Path(__file__).parent / "deck"
REVEAL_FILES = ("LICENSE", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js")
CODE_ALONE = "without-its-code"


def prepare_cells(notebook: NotebookNode) -> None:
    """Leave out what has no slide type; code of figures goes, answers wait for the next key.

    Raises CourseError where no cell begins a slide.
    """
    kinds = [cell.metadata.get("slideshow", {}).get("slide_type") for cell in notebook.cells]
    if next((kind for kind in kinds if kind not in (None, "skip")), None) != "slide":
        raise CourseError("The first cell with a slide type has to be a `slide`.")
    for cell, kind in zip(notebook.cells, kinds, strict=True):
        cell.metadata["slideshow"] = {"slide_type": kind or "skip"}
        if cell.cell_type == "markdown":
            fragment = r'<div class="fragment answer"><b>\1</b>'
            source = re.sub(r"<details>\s*<summary>(.*?)</summary>", fragment, cell.source)
            cell.source = source.replace("</details>", "</div>")
        elif cell.cell_type == "code" and "lesson" not in cell.metadata.get("tags", []):
            kinds_shown = [kind for output in cell.outputs for kind in output.get("data", {})]
            if any(kind.startswith("image/") for kind in kinds_shown):
                cell.metadata["tags"] = [*cell.metadata.get("tags", []), CODE_ALONE]


def render_deck(path: Path) -> str:
    """The deck of a notebook; it expects reveal.js in a folder of that name beside it."""
    notebook = read_notebook(path)
    try:
        prepare_cells(notebook)
    except CourseError as error:
        raise CourseError(f"{path.stem}: {error}") from error
    hidden = {"enabled": True, "remove_input_tags": {CODE_ALONE}}
    exporter = SlidesExporter(
        template_name="deck",
        extra_template_basedirs=[str(DECK.parent)],
        config=Config(TagRemovePreprocessor=hidden),
    )
    about = {"metadata": {"name": path.stem}, "deck_css": (DECK / "deck.css").read_text("utf-8")}
    deck, _ = exporter.from_notebook_node(notebook, about)
    deck = re.sub(r'href="([^":]+)\.ipynb', r'href="\1.html', deck)  # neighbours are decks here
    return embed_images(deck, path.parent)


def build_slides(destination: Path, notebooks: list[Path]) -> list[Path]:
    """Write a deck a notebook into `destination`, which is made anew, with reveal.js; the decks."""
    decks = {destination / f"{path.stem}.html": render_deck(path) for path in notebooks}
    shutil.rmtree(destination, ignore_errors=True)
    # The package sphinx-revealjs carries reveal.js (MIT licence).
    reveal = Path(str(importlib.resources.files("sphinx_revealjs"))) / "_static" / "revealjs"
    for name in REVEAL_FILES:
        target = destination / "reveal.js" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(reveal.joinpath(name).read_bytes())
    for deck, content in decks.items():
        deck.write_text(content, encoding="utf-8")
    return list(decks)


def main() -> int:
    """Build the decks; returns the exit code."""
    print_anything()
    try:
        decks = build_slides(SLIDES, find_notebooks())
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(decks)} decks, to show: {SLIDES.relative_to(ROOT)}/")
    print("Arrow keys or space: on. S: speaker's notes. F: full screen. O: all slides.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
