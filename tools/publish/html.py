"""Notebooks and Markdown as pages that need nothing but themselves: no script, font or picture from
elsewhere, mathematics as MathML, and each figure with its description."""

import re
from collections import Counter
from collections.abc import Callable
from html import escape
from pathlib import Path

from latex2mathml.converter import convert
from nbconvert.filters import ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from utils.notebook_setup import REPOSITORY
from utils.settings import ROOT

ASSETS = Path(__file__).parent / "pages"
Link = Callable[[str], str]


def find_link(folder: Path, pages: dict[Path, str], root: Path = ROOT) -> Link:
    """The function that says where a link of a file in `folder` leads from a page.

    `pages` are files of the course and their pages; what has none is on GitHub.
    """

    def link(address: str) -> str:
        if re.match(r"[a-z]+:|#", address):
            return address
        place, mark, section = address.partition("#")
        target = (folder / place).resolve()
        if target in pages:
            return f"{pages[target]}{mark}{section}"
        if not target.is_relative_to(root.resolve()):
            return address
        kind = "tree" if target.is_dir() else "blob"
        path = target.relative_to(root.resolve()).as_posix()
        return f"https://github.com/{REPOSITORY}/{kind}/main/{path}{mark}{section}"

    return link


class PageRenderer(IPythonRenderer):
    """Markdown as HTML that loads nothing; one for each page, since headings have their own names.

    Pictures below `folder` are put into the page; of one elsewhere (a badge) its words remain.
    """

    def __init__(self, folder: Path, link: Link) -> None:
        super().__init__(escape=False, embed_images=True, path=str(folder))
        self.find_link = link
        self.names: Counter[str] = Counter()
        self.sections: list[tuple[str, str]] = []  # name and title of each heading of level 2

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, self.find_link(url), title)

    def block_html(self, html: str) -> str:
        return html  # as it is: nbconvert would close a fold before what is folded

    def inline_html(self, html: str) -> str:
        return html

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return escape(text) if "://" in url else super().image(text, url, title)

    def heading(self, text: str, level: int, **attrs) -> str:
        words = re.sub(r"<[^>]+>", "", text)
        name = re.sub(r"[^\w -]", "", words).strip().lower().replace(" ", "-")  # as GitHub does
        self.names[name] += 1
        if self.names[name] > 1:
            name = f"{name}-{self.names[name] - 1}"
        if level == 2:
            self.sections.append((name, words))
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def block_code(self, code: str, info: str | None = None) -> str:
        return render_code(code) if info == "python" else render_text(code)

    def table(self, text: str) -> str:
        return f'<div class="wide" tabindex="0"><table>\n{text}</table></div>\n'

    def inline_math(self, body: str) -> str:
        return render_math(body, "inline")

    def block_math(self, body: str) -> str:
        return render_math(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return render_math(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


def render_math(source: str, display: str) -> str:
    """LaTeX as MathML, which browsers draw by themselves; where it is wrong, as it was written."""
    try:
        return convert(source.strip(), display=display)
    except Exception:  # it raises a class of its own for each mistake, and IndexError
        return f"<code>{escape(source)}</code>"


def render_markdown(text: str, renderer: PageRenderer) -> str:
    """A piece of Markdown as HTML."""
    return MarkdownWithMath(renderer=renderer).render(text)


def render_code(source: str) -> str:
    """Python, coloured; it scrolls sideways where it is wide, with the keyboard as well."""
    coloured = highlight(source.rstrip(), PythonLexer(), HtmlFormatter(nowrap=True)).rstrip()
    opening = '<pre class="source" tabindex="0" role="group" aria-label="code">'
    return f"{opening}<code>{coloured}</code></pre>\n"


def render_text(text: str, kind: str = "text") -> str:
    """What a cell printed (with the colours of a traceback), or code in no language."""
    opening = f'<pre class="{kind}" tabindex="0" role="group" aria-label="output">'
    return f"{opening}{ansi2html(text.rstrip())}</pre>\n"


def render_output(output: NotebookNode, renderer: PageRenderer) -> str:
    """One output of a cell: the richest form of it that needs no running kernel."""
    if output.output_type == "stream":
        if not output.text.strip():
            return ""
        return render_text(output.text, "problem" if output.name == "stderr" else "text")
    if output.output_type == "error":
        return render_text("\n".join(output.traceback), "problem")
    data = output.data
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            words = output.metadata.get(kind, {}).get("alt") or data.get("text/plain", "a figure")
            picture = f'<img src="data:{kind};base64,{"".join(data[kind].split())}"'
            return f'<figure>{picture} alt="{escape(words)}"></figure>\n'
    if "text/html" in data:
        return f'<div class="wide" tabindex="0">{data["text/html"]}</div>\n'
    if "text/markdown" in data:
        return render_markdown(data["text/markdown"], renderer)
    return render_text(data["text/plain"]) if "text/plain" in data else ""


def render_cell(cell: NotebookNode, renderer: PageRenderer) -> str:
    """A cell with its outputs; the setup cell, which is the same everywhere, is folded."""
    if cell.cell_type == "markdown":
        inside = render_markdown(cell.source, renderer)
    elif cell.cell_type == "code" and (cell.source.strip() or cell.outputs):
        inside = render_code(cell.source)
        if "setup" in cell.metadata.get("tags", []):
            inside = f"<details><summary>The setup cell</summary>\n{inside}</details>\n"
        inside += "".join(render_output(output, renderer) for output in cell.outputs)
    else:
        return ""
    return f'<div class="cell {cell.cell_type}" id="cell-{cell.id}">\n{inside}</div>\n'


def render_page(title: str, body: str, before: str = "", after: str = "") -> str:
    """A whole page around `body`, with `before` in its header and `after` in its footer."""
    style = "\n".join((ASSETS / name).read_text("utf-8") for name in ("palette.css", "page.css"))
    script = (ASSETS / "page.js").read_text("utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><nav aria-label="Pages">{before}<button class="theme" hidden>Dark</button></nav></header>
<main id="content">
{body}</main>
<footer><nav aria-label="Pages, again">{after}</nav></footer>
<script>
{script}</script>
</body>
</html>
"""


def render_notebook(notebook: NotebookNode, folder: Path, link: Link) -> tuple[str, PageRenderer]:
    """All cells of a notebook whose file is in `folder`, and the renderer with its sections."""
    renderer = PageRenderer(folder, link)
    return "".join(render_cell(cell, renderer) for cell in notebook.cells), renderer
