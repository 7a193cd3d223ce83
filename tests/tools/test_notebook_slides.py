"""Decks: what is on a slide, that it fits, and that a deck asks the network for nothing."""

import re
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from utils.errors import CourseError
from utils.notebook_cleaning import read_notebook
from utils.notebook_html import PageRenderer
from utils.notebook_slides import build_slides, collect_slides, render_slide
from utils.notebooks import find_notebooks

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


def mark(cell: NotebookNode, kind: str) -> NotebookNode:
    """The cell with a slide type."""
    cell.metadata["slideshow"] = {"slide_type": kind}
    return cell


def say(kind: str, text: str = "words") -> NotebookNode:
    return mark(new_markdown_cell(text), kind)


def draw(kind: str, *tags: str) -> NotebookNode:
    """A code cell that showed a figure."""
    data = {"image/png": PIXEL, "text/plain": "A dot"}
    figure = new_output("display_data", data, metadata={"image/png": {"alt": "A red <dot>"}})
    cell = new_code_cell("plot(1)", outputs=[figure], metadata={"tags": list(tags)})
    return mark(cell, kind)


def show(*cells: NotebookNode) -> BeautifulSoup:
    """The first slide made of the cells."""
    (column, *_) = collect_slides(new_notebook(cells=list(cells)))
    renderer = PageRenderer(Path("."), lambda address: address)
    return BeautifulSoup(render_slide(column[0], renderer, "Title"), "html.parser")


def test_cells_without_a_slide_type_are_left_out() -> None:
    cells = [new_markdown_cell("before"), say("slide"), new_code_cell("1"), say("skip"), say("-")]
    cells += [say("subslide"), say("notes"), say("slide")]
    columns = collect_slides(new_notebook(cells=cells))
    kinds = [[[kind for kind, _ in slide] for slide in column] for column in columns]
    assert kinds == [[["slide", "-"], ["subslide", "notes"]], [["slide"]]]


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ([say("-")], "Cell 1 comes before the first slide"),
        ([say("slide"), say("slides")], "Cell 2 has the slide type 'slides'"),
        ([new_markdown_cell("unmarked")], "there is nothing to show"),
    ],
)
def test_metadata_that_make_no_deck_are_named(cells: list[NotebookNode], sentence: str) -> None:
    with pytest.raises(CourseError, match=sentence):
        collect_slides(new_notebook(cells=cells))


def test_an_answer_waits_for_the_next_key_and_notes_are_the_speakers() -> None:
    question = "Which?\n\n<details><summary>Answer</summary>\n\nThe *second*.\n\n</details>\n\nSo."
    page = show(say("slide", question), say("notes", "Let them argue."))
    answer = page.select_one(".page .fragment.answer")
    assert answer.select_one("em").text == "second" and "So." not in answer.text
    assert page.select_one("aside.notes").text.strip() == "Let them argue."
    assert "argue" not in page.select_one(".page").text and not page.select("details")


def test_a_figure_stands_without_its_code_but_for_a_lesson() -> None:
    page = show(say("slide"), draw("-"))
    assert page.select_one("img")["alt"] == "A red <dot>" and not page.select("pre")
    assert show(say("slide"), draw("-", "lesson")).select_one("pre").text.strip() == "plot(1)"
    printed = new_code_cell("print(1)", outputs=[new_output("stream", text="<b>1\n")])
    assert [pre.text.strip() for pre in show(mark(printed, "slide")).select("pre")] == [
        "print(1)", "<b>1",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def decks(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, int]:
    return build_slides(tmp_path_factory.mktemp("build") / "slides", find_notebooks())


def test_a_deck_asks_the_network_for_nothing(decks: dict[Path, int]) -> None:
    folder = next(iter(decks)).parent
    assert "MIT" in (folder / "reveal.js/dist/reveal.js").read_text("utf-8")[:200]
    assert "Copyright" in (folder / "reveal.js/LICENSE").read_text("utf-8")
    for deck in decks:
        page = BeautifulSoup(deck.read_text("utf-8"), "html.parser")
        asked = [tag["src"] for tag in page.select("[src]")]
        asked += [tag["href"] for tag in page.select("link[href]")]
        files = [address for address in asked if not address.startswith("data:")]
        assert len(files) == 3 and all((folder / address).is_file() for address in files)
        assert not re.search(r"url\(|@import", "".join(tag.text for tag in page.select("style")))
    sources = "".join((folder / "reveal.js" / path).read_text("utf-8") for path in
                      ("dist/reveal.css", "dist/reveal.js"))  # fmt: skip
    assert not re.search(r"""(src|href)=["']https?:|url\(["']?https?:""", sources)


def test_the_index_leads_to_every_deck(decks: dict[Path, int]) -> None:
    folder = next(iter(decks)).parent
    index = BeautifulSoup((folder / "index.html").read_text("utf-8"), "html.parser")
    assert [link["href"] for link in index.select("main a")] == [deck.name for deck in decks]


def estimate_height(section: BeautifulSoup) -> float:
    """Pixels a slide needs with the smallest letters, by counting: 21 pixels, code 0.72 of it."""
    high = 0.0
    for block in section.select_one(".page").find_all(["p", "li", "h1", "h2", "h3", "pre", "tr"]):
        if block.name == "pre":
            lines = [1 + len(line) // 126 for line in block.text.rstrip("\n").split("\n")]
            high += 21 * 0.72 * 1.4 * sum(lines) + 29
        elif block.name == "tr":
            cells = block.find_all(["td", "th"])
            high += 22 * max(1 + len(cell.text) * len(cells) // 125 for cell in cells) + 11
        elif not block.find_parent("li"):
            size = {"h1": 42, "h2": 30, "h3": 25}.get(block.name, 21)
            high += size * 1.4 * (1 + len(block.text) * size // 2150) + 13
    return high + 280 * len(section.select("figure")[:1]) + 235 * len(section.select("figure")[1:])


def test_every_slide_fits_its_screen(decks: dict[Path, int]) -> None:
    full, counted = [], 0
    for deck in decks:
        page = BeautifulSoup(deck.read_text("utf-8"), "html.parser")
        slides = [section for section in page.select("section") if section.select(":scope > .page")]
        counted += len(slides)
        full += [
            f"{deck.stem}, slide {number}: about {estimate_height(slide):.0f} pixels of 664"
            for number, slide in enumerate(slides, 1)
            if estimate_height(slide) > 664 + 20  # the estimate is rough
        ]
        assert all(slide.select_one(".page").get_text(strip=True) or slide.select("img")
                   for slide in slides)  # fmt: skip
    assert counted == sum(decks.values())
    assert not full
    too_much = show(say("slide", "\n\n".join(["A line of words."] * 40)))
    assert estimate_height(too_much.section) > 684


def test_every_section_of_a_notebook_has_a_slide() -> None:
    for path in find_notebooks():
        notebook = read_notebook(path)
        sections = [line for cell in notebook.cells if cell.cell_type == "markdown"
                    for line in cell.source.splitlines() if line.startswith("## ")]  # fmt: skip
        shown = "\n".join(cell.source for column in collect_slides(notebook) for slide in column
                          for _, cell in slide)  # fmt: skip
        left_out = [line for line in sections if line not in shown]
        assert left_out == ["## Next"], f"{path.stem}: no slide shows {left_out}"


def test_without_the_package_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sphinx_revealjs", None)
    with pytest.raises(CourseError, match="make slides"):
        build_slides(tmp_path / "slides", find_notebooks(["01"]))
