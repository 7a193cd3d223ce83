"""The guide for teachers agrees with the notebooks it is about."""

import re

import pytest

from tools.cleaning import read_notebook
from tools.notebooks import CORE, NOTEBOOKS, find_notebooks

GUIDE = (NOTEBOOKS / "README.md").read_text("utf-8")
PAGES = (*CORE, "06", "07", "08", "09")


def read_prose(number: str) -> str:
    """The Markdown of a notebook, without bold and italics."""
    (path,) = find_notebooks([number])
    cells = read_notebook(path).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown").replace("*", "")


def list_sections(number: str) -> list[str]:
    return re.findall(r"^## (.+)$", read_prose(number), re.MULTILINE)


def read_rows(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column is called `first`."""
    lines = text.split(f"| {first} |", 1)[1].splitlines()[2:]
    end = next((at for at, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[:end]]


def read_minutes(number: str) -> dict[str, int]:
    """The minutes of each row on the teaching page of a notebook, in order."""
    page = re.search(rf"^## {number} .*?(?=^## )", GUIDE, re.MULTILINE | re.DOTALL)
    assert page, f"notebooks/README.md has no page `## {number} …`"
    rows = read_rows(page[0], "section" if number in CORE else "sections")
    return {name: int(minutes) for name, minutes, _ in rows}


@pytest.mark.parametrize("number", PAGES)
def test_a_page_is_an_hour_and_has_the_sections_of_its_notebook(number: str) -> None:
    minutes = read_minutes(number)
    assert sum(minutes.values()) == 60
    sections = list_sections(number)
    named = [name for group in minutes for name in group.split(" · ")]
    expected = sections[:-1] if number in CORE else [name for name in sections if name in named]
    assert named == expected and sections[-1] == "Next"


def test_the_core_fits_into_its_minutes() -> None:
    *rows, others, total = read_rows(GUIDE.split("## The core in", 1)[1], "notebook")
    assert [row[0] for row in rows] == list(CORE)
    for column, minutes in ((1, 45), (3, 90), (5, 180)):
        for row in rows:
            planned = read_minutes(row[0])
            sections = re.findall(r"\*(.+?)\*", row[column])  # their own names may hold commas
            assert sum(planned[name] for name in sections) == int(row[column + 1])
        assert sum(int(row[column + 1]) for row in [*rows, others]) == minutes
        assert int(total[column + 1]) == minutes


def test_the_syllabus_links_to_each_notebook_with_a_page() -> None:
    rows = read_rows(GUIDE.split("## Syllabus", 1)[1], "notebook")
    paths = [path for number in PAGES for path in find_notebooks([number])]
    assert [re.search(r"\((.+)\)", row[0])[1] for row in rows] == [path.name for path in paths]


def test_the_glossary_is_in_order_and_its_words_stand_where_it_says() -> None:
    rows = read_rows(GUIDE, "term")
    terms = [term for term, *_ in rows]
    assert len(terms) > 30 and terms == sorted(set(terms), key=str.casefold)
    missing = [
        f"{term} in {number}"
        for term, _, number in rows
        if term.casefold() not in read_prose(number).casefold()
    ]
    assert missing == []


def test_the_exercises_that_a_page_names_exist() -> None:
    for number in set(re.findall(r"(?<![\d.])[1-9]\.\d(?![\d.]| million)", GUIDE)):
        assert f"Exercise {number} " in read_prose(f"0{number[0]}"), number
