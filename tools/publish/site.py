"""The course as a small site, to read without running: `make site`.

Every page carries its style, script and pictures, and asks the network for nothing.
"""

import re
import shutil
import sys
from html import escape
from pathlib import Path

from nbformat import NotebookNode

from utils.errors import CourseError
from utils.notebook_cleaning import read_notebook
from utils.notebook_html import (
    PageRenderer,
    find_link,
    render_markdown,
    render_notebook,
    render_page,
)
from utils.notebooks import NOTEBOOKS, find_notebooks
from utils.settings import ROOT

SITE = ROOT / "_build" / "site"
# Pages of Markdown files, with the words of the links to them.
TEXTS = {ROOT / "README.md": "The course", NOTEBOOKS / "README.md": "For the people who teach it"}


def read_opening(notebook: NotebookNode) -> tuple[str, str, str]:
    """Title, one-sentence promise, and time from a notebook's first two cells."""
    first, second = (cell.source for cell in notebook.cells[:2])
    title, promise = re.search(r"^# (.+)$", first, re.M), re.search(r"^\*\*(.+)\*\*$", first, re.M)
    if not (title and promise and second.count("|") >= 12):
        raise CourseError(
            "The first two cells of a notebook are its title, its promise in bold and its table "
            f"`you will / you need / time`; here they begin with {first[:40]!r}: complete them."
        )
    return title[1], promise[1], second.strip().splitlines()[-1].strip("| ").split(" | ")[-1]


def name_pages(notebooks: list[Path]) -> dict[Path, str]:
    """The page of each notebook and text."""
    pages = {path.resolve(): f"{path.stem}.html" for path in notebooks}
    return pages | {ROOT / "README.md": "course.html", NOTEBOOKS / "README.md": "guide.html"}


def format_links(links: list[tuple[str, str]]) -> str:
    """Links (page, words) for the head or foot of a page."""
    return "\n".join(f'<a href="{page}">{escape(words)}</a>' for page, words in links)


def format_sections(renderer: PageRenderer) -> str:
    """A table of contents of the page's sections."""
    links = (f'<li><a href="#{name}">{title}</a></li>\n' for name, title in renderer.sections)
    return f'<nav class="sections" aria-label="Sections"><ul>\n{"".join(links)}</ul></nav>\n'


def build_index(openings: dict[str, tuple[str, str, str]], pages: dict[Path, str]) -> str:
    """The first page: what there is to read, in order."""
    items = "".join(
        f'<li value="{int(page[:2])}"><p><a href="{page}"><b>{escape(title)}</b></a></p>'
        f"<p>{escape(promise)}</p><p>To run it takes {escape(time)}.</p></li>\n"
        for page, (title, promise, time) in openings.items()
    )
    picture = "![Drawn cats and dogs, and what a network says about each](pictures/sample.jpg)"
    renderer = PageRenderer(NOTEBOOKS, find_link(NOTEBOOKS, pages))
    opening = render_markdown(
        "# Transfer learning, hands on: dogs against cats\n\nThese are the course's notebooks with "
        "what they showed when they last ran, on drawn pictures and two cores. Nothing here runs: "
        "in place of a control stands a picture of how it begins. [The course](../README.md) says "
        "how to run it, and [a guide](README.md) is for the people who teach it.\n\n" + picture,
        renderer,
    )
    return f"{opening}<h2>The notebooks</h2>\n<ol>\n{items}</ol>\n"


def build_site(destination: Path, notebooks: list[Path]) -> list[Path]:
    """Writes the site of these notebooks into `destination`, which is made anew; its pages."""
    pages, openings, written = name_pages(notebooks), {}, []
    shutil.rmtree(destination, ignore_errors=True)
    destination.mkdir(parents=True)

    def write(page: str, title: str, body: str, before: str, after: str = "") -> None:
        (destination / page).write_text(render_page(title, body, before, after), encoding="utf-8")
        written.append(destination / page)

    sources = {path: read_notebook(path) for path in notebooks}
    for path, notebook in sources.items():
        openings[pages[path.resolve()]] = read_opening(notebook)
    home = ("index.html", "All notebooks")
    texts = [(pages[path], words) for path, words in TEXTS.items()]
    order = list(openings)
    for place, (path, notebook) in enumerate(sources.items()):
        links = [home]
        if place:
            links.insert(0, (order[place - 1], f"← {openings[order[place - 1]][0]}"))
        if place + 1 < len(order):
            links.append((order[place + 1], f"{openings[order[place + 1]][0]} →"))
        body, renderer = render_notebook(notebook, path.parent, find_link(path.parent, pages))
        title, end, rest = body.partition("</h1>")
        body = f"{title}{end}{format_sections(renderer)}{rest}"
        around = format_links(links)
        write(order[place], openings[order[place]][0], body, around, around)
    for path, words in TEXTS.items():
        renderer = PageRenderer(path.parent, find_link(path.parent, pages))
        body = render_markdown(path.read_text("utf-8"), renderer)
        links = format_links([home, *(text for text in texts if text[0] != pages[path])])
        title, end, rest = body.partition("</h1>")
        write(pages[path], words, f"{title}{end}{format_sections(renderer)}{rest}", links)
    write("index.html", "Dogs against cats", build_index(openings, pages), format_links(texts))
    return written


def main() -> int:
    """Builds the site; returns the exit code."""
    try:
        written = build_site(SITE, find_notebooks())
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(written)} pages, to read: {(SITE / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
