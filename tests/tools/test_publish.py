"""Site and decks: complete, with words for every image, answers folded, nothing from outside."""

import base64
import io
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tools.cleaning import read_notebook
from tools.execution import save_executed
from tools.notebooks import find_notebooks
from tools.publish.site import build_site, link_elsewhere
from tools.publish.slides import build_slides, prepare_cells
from utils.settings import ROOT, CourseError


def make_pixel(kind: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (1, 1), "red").save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


PIXELS = {"image/png": make_pixel("PNG"), "image/jpeg": make_pixel("JPEG")}
ANSWER = "Which?\n\n<details><summary>Answer</summary>\n\nThe *second*.\n\n</details>\n\nSo."
BADGE = "# Made\n\n[![Open in Colab](https://colab.research.google.com/badge.svg)](https://a.org)"


def make_cells() -> list[NotebookNode]:
    """A title with a badge, a question, a figure and its code, a lesson, notes; some on slides."""
    about = {kind: {"alt": "A red <dot>, at 97 %"} for kind in PIXELS}
    figure, photograph = (
        new_output("display_data", {kind: pixel, "text/plain": "."}, metadata={kind: about[kind]})
        for kind, pixel in PIXELS.items()
    )
    kinds = ["slide", "slide", "-", "subslide", "notes", None]
    cells = [
        new_markdown_cell(BADGE),
        new_markdown_cell(f"## One\n\n{ANSWER} And $\\frac{{n}}{{2}}$."),
        new_code_cell("plot(1)", outputs=[photograph]),
        new_code_cell("plot(2)", outputs=[figure], metadata={"tags": ["lesson"]}),
        new_markdown_cell("Let them argue."),
        new_markdown_cell("Not on a slide."),
    ]
    for cell, kind in zip(cells, kinds, strict=True):
        if kind:
            cell.metadata["slideshow"] = {"slide_type": kind}
    return cells


def read_page(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def list_loaded(page: BeautifulSoup) -> list[str]:
    """What a browser would fetch from elsewhere to show the page."""
    asked = [tag["src"] for tag in page.select("[src]")]
    asked += [tag["href"] for tag in page.select("link[href]")]
    asked += re.findall(r"url\(([^)]*)\)", "".join(tag.text for tag in page.select("style")))
    return [address for address in asked if re.match(r"[\"']?(https?:)?//", address)]


def check_answer(page: BeautifulSoup, place: str) -> None:
    """The answer is inside what folds it, and what follows is not."""
    answer = page.select_one(place)
    assert answer.select_one("em").text == "second" and "So." not in answer.text


def test_the_page_of_a_run_stands_alone(make_notebook, tmp_path: Path) -> None:
    path = make_notebook(
        *make_cells(),
        new_code_cell(
            "x < y",
            outputs=[
                new_output("stream", name="stdout", text="<b>bold</b> & more"),
                new_output("error", ename="E", evalue="v", traceback=["\x1b[31mE\x1b[0m: <v>"]),
            ],
        ),
    )
    page = read_page(save_executed(read_notebook(path), path, tmp_path / "run"))
    assert list_loaded(page) == [] and page.title.text == "01_made"
    assert [image["alt"] for image in page.select("img")] == ["A red <dot>, at 97 %"] * 2
    assert (
        "<b>bold</b> & more" in page.text and "E: <v>" in page.text and "Open in Colab" in page.text
    )
    check_answer(page, "details")


@pytest.fixture
def deck(make_notebook, tmp_path: Path) -> BeautifulSoup:
    path = make_notebook(*make_cells())
    (written,) = build_slides(tmp_path / "slides", [path])
    return read_page(written)


def test_a_deck_holds_what_has_a_slide_type(deck: BeautifulSoup) -> None:
    slides = [slide for slide in deck.select("section") if not slide.select("section")]
    assert len(slides) == 3 and len(deck.select(".slides > section")) == 2
    assert "Not on a slide" not in deck.text
    assert slides[2].select_one("aside.notes").text.strip() == "Let them argue."
    check_answer(deck, ".fragment.answer")


def test_a_figure_stands_without_its_code_but_for_a_lesson(deck: BeautifulSoup) -> None:
    assert [image["alt"] for image in deck.select("img")] == ["A red <dot>, at 97 %"] * 2
    assert "plot(1)" not in deck.text and "plot(2)" in deck.text


def test_a_deck_asks_the_network_for_nothing(deck: BeautifulSoup, tmp_path: Path) -> None:
    assert list_loaded(deck) == []
    files = [
        tag.get("src") or tag["href"] for tag in deck.select("script[src], link[href^=reveal]")
    ]
    assert len(files) == 3 and all((tmp_path / "slides" / name).is_file() for name in files)
    sources = [(tmp_path / "slides" / name).read_text("utf-8") for name in files]
    assert not re.search(r"""(src|href)=["']https?:|url\(["']?https?:""", "".join(sources))


def test_a_deck_begins_with_a_slide() -> None:
    with pytest.raises(CourseError, match="has to be a `slide`"):
        prepare_cells(new_notebook(cells=[new_markdown_cell("no slide type")]))


def test_every_notebook_has_slides() -> None:
    for path in find_notebooks():
        prepare_cells(read_notebook(path))


@pytest.mark.slow
def test_the_site_is_complete_and_loads_nothing_but_badges(make_notebook, tmp_path: Path) -> None:
    made = make_notebook(*make_cells())
    pages = {path.stem: path for path in build_site(tmp_path / "site", [made])}
    assert set(pages) == {"README", "01_made"}
    page = read_page(pages["01_made"])
    assert list_loaded(page) == ["https://colab.research.google.com/badge.svg"]
    assert [image["alt"] for image in page.select("img")][1:] == ["A red <dot>, at 97 %"] * 2
    check_answer(page, "details")
    assert page.select("math mfrac") and page.html["lang"] == "en"
    home = read_page(tmp_path / "site" / "README.html")
    assert home.select('a[href="notebooks/01_made.html"]') and len(home.select("h1")) == 1


def test_links_to_files_without_a_page_lead_to_github() -> None:
    text = "[a](../utils/data.py#L3) [b](../utils) [c](README.md) [d](https://a.org) [e](#here)"
    linked = link_elsewhere(text, ROOT / "notebooks", ROOT)
    assert "/blob/main/utils/data.py#L3)" in linked and "/tree/main/utils)" in linked
    assert linked.endswith("[c](README.md) [d](https://a.org) [e](#here)")
