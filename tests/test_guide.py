"""The guide for teachers agrees with the notebooks it is about."""

import re

import pytest

from utils.notebook_cleaning import read_notebook
from utils.notebooks import NOTEBOOKS, find_notebooks
from utils.settings import ROOT

GUIDE = (NOTEBOOKS / "README.md").read_text("utf-8")
NUMBERS = [path.name[:2] for path in find_notebooks()]


def read_words(number: str) -> str:
    """All Markdown and code of a notebook."""
    (path,) = find_notebooks([number])
    return "\n".join(cell.source for cell in read_notebook(path).cells)


def read_rows(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column is called `first`."""
    lines = text.split(f"| {first} |", 1)[1].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("| ").split(" | ")])
    return rows


def read_page(number: str) -> str:
    """The teaching page of a notebook."""
    found = re.search(rf"^## {number} .*?(?=^## )", GUIDE, re.MULTILINE | re.DOTALL)
    assert found, f"notebooks/README.md has no page `## {number} …`"
    return found[0]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_page_plans_every_section_and_no_more_minutes_than_there_are(number: str) -> None:
    sections = re.findall(r"^## (.+)$", read_words(number), re.MULTILINE)
    rows = read_rows(read_page(number), "section")
    assert [row[0] for row in rows] == sections[:-1] and sections[-1] == "Next"
    for column, minutes in ((2, 45), (3, 90), (4, 180)):
        planned = [int(row[column]) for row in rows if row[column] != "–"]
        assert sum(planned) == minutes, f"column {minutes} of page {number}"
    assert len(read_rows(read_page(number), "question")) >= 4
    assert len(read_rows(read_page(number), "what you see")) >= 3


def test_the_syllabus_has_a_row_for_each_notebook() -> None:
    rows = read_rows(GUIDE, "notebook")
    assert [row[0][1:3] for row in rows] == NUMBERS
    assert all(f"({path.name})" in row[0] for path, row in zip(find_notebooks(), rows, strict=True))


def test_the_glossary_is_in_order_and_its_words_are_taught() -> None:
    rows = read_rows(GUIDE, "term")
    terms = [term for term, *_ in rows]
    assert len(terms) > 50 and terms == sorted(terms, key=str.casefold)
    for term, _, number in rows:
        # "overfitting" is taught as "overfits", "averaging weights" as **Averaging weights**
        stem = re.sub(r"(ting|ing|ed|s)$", "", term.casefold())
        assert stem in read_words(number).casefold(), f"{term!r} is not in notebook {number}"


def test_exercises_and_sections_that_the_guide_names_exist() -> None:
    for number in set(re.findall(r"(?<![\d.])(\d\.\d)(?![\d.]| million)", GUIDE)):
        assert f'exercises.check("{number}"' in read_words(f"0{number[0]}"), number
    sections = {
        line.lstrip("# ") for number in NUMBERS
        for line in read_words(number).splitlines() if line.startswith(("## ", "### "))
    }  # fmt: skip
    table = "\n".join(map(" ".join, read_rows(GUIDE, "minutes")))
    for name in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*", table):
        assert any(section.startswith(name) for section in sections), name


def test_commands_that_the_guide_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"`make (\w+)`", GUIDE)) - {"bench"}:
        assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE), f"make {target}"
    for module in set(re.findall(r"python -m (utils\.\w+)", GUIDE)):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
