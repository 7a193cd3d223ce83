"""Pages to read: no dead link, no figure without words, nothing loaded, enough contrast."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from utils.errors import CourseError
from utils.notebook_execution import save_executed
from utils.notebook_html import ASSETS, find_link, render_notebook, render_page
from utils.notebook_setup import REPOSITORY
from utils.notebook_site import build_site, read_opening
from utils.notebooks import NOTEBOOKS, find_notebooks
from utils.settings import ROOT

Pages = dict[str, BeautifulSoup]
LIGHT_DARK = re.compile(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\);")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    written = build_site(tmp_path_factory.mktemp("build") / "site", find_notebooks())
    return {path.name: BeautifulSoup(path.read_text("utf-8"), "html.parser") for path in written}


def find_dead_links(pages: Pages) -> list[str]:
    """Links that lead to no page, to no place of a page, or to no file of the repository."""
    names = {page: {tag["id"] for tag in soup.select("[id]")} for page, soup in pages.items()}
    dead = []
    for page, soup in pages.items():
        for link in soup.select("a[href]"):
            address, _, place = unquote(link["href"]).partition("#")
            inside = re.match(rf"https://github\.com/{REPOSITORY}/(?:blob|tree)/main/(.*)", address)
            if inside:
                alive = (ROOT / inside[1]).exists()
            elif "://" in address:
                alive = not place  # of other people's pages only the address is looked at
            else:
                alive = (address or page) in pages and (
                    not place or place in names[address or page]
                )
            if not alive:
                dead.append(f"{page}: {link['href']}")
    return dead


def find_loaded(soup: BeautifulSoup) -> list[str]:
    """What a browser would fetch to show the page."""
    keys = ("src", "srcset", "poster", "data")
    asked = [tag[key] for key in keys for tag in soup.select(f"[{key}]")]
    asked += [tag["href"] for tag in soup.select("link[href]")]
    asked += re.findall(r"url\([^)]*\)|@import.*", "".join(t.text for t in soup.select("style")))
    return [address[:80] for address in asked if not address.startswith("data:")]


def test_no_link_is_dead(site: Pages) -> None:
    assert sum(len(page.select("a[href]")) for page in site.values()) > 100
    assert find_dead_links(site) == []
    broken = "[a](07_missing.ipynb) [b](02_custom_cnn.ipynb#no) [c](../utils/gone.py) [d](#here)"
    link = find_link(NOTEBOOKS, {(NOTEBOOKS / "02_custom_cnn.ipynb").resolve(): "two.html"})
    body, _ = render_notebook(new_notebook(cells=[new_markdown_cell(broken)]), NOTEBOOKS, link)
    made = {"one.html": BeautifulSoup(body, "html.parser"), "two.html": site["02_custom_cnn.html"]}
    dead = [line for line in find_dead_links(made) if line.startswith("one.html")]
    assert len(dead) == 4


def test_notebooks_lead_to_each_other(site: Pages) -> None:
    order = [f"{path.stem}.html" for path in find_notebooks()]
    assert [link["href"] for link in site["index.html"].select("ol a")] == order
    for place, page in enumerate(order):
        around = [link["href"] for link in site[page].select_one("header").select("a")]
        assert around == [*order[:place][-1:], "index.html", *order[place + 1 :][:1]]


def test_pages_load_nothing(site: Pages) -> None:
    assert [loaded for page in site.values() for loaded in find_loaded(page)] == []
    foreign = BeautifulSoup('<img src="https://a/b.png"><link href="//c/d.css">', "html.parser")
    assert find_loaded(foreign) == ["https://a/b.png", "//c/d.css"]


def test_every_figure_has_words_of_its_own(site: Pages) -> None:
    figures = [picture for page in site.values() for picture in page.select("img")]
    words = [picture.get("alt", "") for picture in figures]
    assert len(figures) > 60
    assert [text for text in words if len(text) < 10 or text.startswith("<")] == []
    pages = [page for name, page in site.items() if name[:2].isdigit()]
    assert len(figures) - 2 <= sum(len(page.select("figure img")) for page in pages) <= len(figures)


def test_solutions_and_answers_stay_folded(site: Pages) -> None:
    assert not any(page.select("details[open]") for page in site.values())
    pages = [page for name, page in site.items() if name[:2].isdigit()]
    folds = [fold for page in pages for fold in page.select("details")]
    kinds = [fold.select_one("summary").text for fold in folds]
    assert kinds.count("Solution") >= 20 and kinds.count("Answer") >= 10
    for fold, kind in zip(folds, kinds, strict=True):
        inside = fold.get_text(strip=True).removeprefix(kind)
        assert len(inside) > 20, kind  # a fold that closes before its words hides nothing
        assert kind != "Solution" or fold.select("pre.source")


def test_pages_are_well_formed(site: Pages) -> None:
    for name, page in site.items():
        assert page.html["lang"] == "en" and page.title.text and len(page.select("h1")) == 1, name
        assert len(page.select("main")) == 1 and page.select_one("a.skip")["href"] == "#content"
        levels = [int(tag.name[1]) for tag in page.select("main h1, main h2, main h3, main h4")]
        assert levels[0] == 1
        ids = [tag["id"] for tag in page.select("[id]")]
        assert len(ids) == len(set(ids)), f"{name}: two places with one name"


def test_mathematics_needs_no_script(site: Pages) -> None:
    formulas = site["02_custom_cnn.html"].select("math")
    assert [formula.text for formula in formulas] == ["k", "n", "n−k+1"]
    wrong = new_notebook(cells=[new_markdown_cell("$\\left(x$ and $$x^2$$")])
    body, _ = render_notebook(wrong, NOTEBOOKS, str)
    assert "<code>" in body and 'display="block"' in body


def find_contrast(one: str, other: str) -> float:
    """The contrast of two colours #rrggbb, 1 to 21 (WCAG 2.1, relative luminance)."""

    def weigh(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(share * p for share, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted((weigh(one), weigh(other)))
    return (light + 0.05) / (dark + 0.05)


def test_colours_have_contrast_in_light_and_dark() -> None:
    assert find_contrast("#000000", "#ffffff") == pytest.approx(21)
    assert find_contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    text = (ASSETS / "palette.css").read_text("utf-8")
    palette = {name: (light, dark) for name, light, dark in LIGHT_DARK.findall(text)}
    grounds = {"ground", "raised"}
    lines = set(palette) - grounds - {"edge"}
    assert lines == {"text", "quiet", "link", "comment", "keyword", "name", "string", "number"}
    for room in (0, 1):
        for ground in sorted(grounds):
            for name in sorted(lines):
                contrast = find_contrast(palette[name][room], palette[ground][room])
                assert contrast >= 4.5, f"{name} on {ground}: {contrast:.2f}"
            assert find_contrast(palette["edge"][room], palette[ground][room]) >= 3


def test_colours_stand_in_the_palette_alone() -> None:
    for path in sorted(ASSETS.glob("*.css")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
        if path.name == "palette.css":
            text = text.replace("--paper: #ffffff;", "")
            text = LIGHT_DARK.sub("", text)
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!.*\{)|rgb|hsl", text), path.name
        used = set(re.findall(r"var\(--(\w+)", text)) - {"size", "paper"}
        assert used <= {name for name, *_ in LIGHT_DARK.findall(
            (ASSETS / "palette.css").read_text("utf-8"))}  # fmt: skip


def test_outputs_are_words_not_markup(tmp_path: Path) -> None:
    outputs = [
        new_output("stream", name="stdout", text="<b>bold</b> & more"),
        new_output("error", ename="E", evalue="v", traceback=["\x1b[31mE\x1b[0m: <v>"]),
        new_output("execute_result", {"text/plain": "<Figure>"}, execution_count=1),
    ]
    cell = new_code_cell("x < y", outputs=outputs)
    page = save_executed(new_notebook(cells=[cell]), tmp_path / "01_made.ipynb", tmp_path / "run")
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    assert [pre.text for pre in soup.select("pre")] == [
        "x < y", "<b>bold</b> & more", "E: <v>", "<Figure>",
    ]  # fmt: skip
    assert soup.select_one("pre.problem") and find_loaded(soup) == []
    assert (tmp_path / "run" / "01_made.ipynb").exists()


def test_titles_are_escaped() -> None:
    assert "<title>a &lt;b&gt;</title>" in render_page("a <b>", "")


def test_a_notebook_without_its_opening_is_named() -> None:
    with pytest.raises(CourseError, match="first two cells"):
        read_opening(new_notebook(cells=[new_markdown_cell("# A"), new_markdown_cell("b")]))
