"""Every link of the notebooks and pages: `python -m tools.links` asks the outside ones.

Links inside the course are checked by a test. An outside one is asked once, by the weekly job.
"""

import re
import sys
from pathlib import Path

import nbformat
import requests

from utils.settings import ROOT

LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)")
AGENT = {"User-Agent": "Mozilla/5.0 (link check of a course)"}


def read_words(path: Path) -> str:
    """The Markdown of a page, or of all Markdown cells of a notebook; code blocks left out."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def find_pages(root: Path = ROOT) -> list[Path]:
    """All pages and notebooks of the course."""
    folders = (".", "notebooks", "data", "tests")
    pages = [path for folder in folders for path in (root / folder).glob("*.md")]
    return sorted(pages + list((root / "notebooks").glob("*.ipynb")))


def find_anchors(text: str) -> set[str]:
    """What `#…` may say of a page, as GitHub makes it from the headings."""
    titles = re.findall(r"^#+ +(.*?)\s*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def find_dead_links(root: Path = ROOT) -> list[str]:
    """Links inside the course that lead nowhere, one sentence each."""
    dead = []
    for page in find_pages(root):
        for link in LINK.findall(read_words(page)):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            is_page = target.suffix in (".md", ".ipynb")
            if not target.exists():
                dead.append(f"{page.relative_to(root)}: there is no {link}")
            elif anchor and is_page and anchor not in find_anchors(read_words(target)):
                dead.append(f"{page.relative_to(root)}: {target.name} has no heading #{anchor}")
    return dead


def find_outside_links(root: Path = ROOT) -> dict[str, list[str]]:
    """Addresses elsewhere, each with the pages that name it."""
    links: dict[str, list[str]] = {}
    for page in find_pages(root):
        for link in LINK.findall(read_words(page)):
            if link.startswith("http"):
                links.setdefault(link, []).append(page.name)
    return links


def main() -> int:
    """Ask every outside link once; the number of those that do not answer is the exit code."""
    silent = 0
    for link, pages in find_outside_links().items():
        try:
            with requests.get(link, headers=AGENT, timeout=60, stream=True) as answer:
                state = "" if answer.ok else f"answers {answer.status_code}"
        except requests.RequestException as error:
            state = type(error).__name__
        silent += bool(state)
        print(f"{state or 'ok':24} {link}  ({', '.join(sorted(set(pages)))})")
    return min(silent, 100)


if __name__ == "__main__":
    sys.exit(main())
