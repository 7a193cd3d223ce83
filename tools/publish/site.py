"""The course as a small site, to read without running: `make site`.

Sphinx makes it from the notebooks as they are committed and from the two README. Nothing is loaded
from elsewhere but the badges' images.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import SphinxError

from tools.cleaning import read_notebook
from tools.notebooks import find_notebooks
from tools.setup_cell import REPOSITORY
from utils.settings import ROOT, CourseError, print_anything

SITE = ROOT / "_build" / "site"
CONFIGURATION = {
    "project": "Transfer learning, hands on",
    "extensions": ["myst_nb", "tools.publish.site"],
    "html_math_renderer": "mathml",
    "root_doc": "README",
    "html_title": "Dogs against cats",
    "html_sidebars": {"**": []},
    "html_theme": "pydata_sphinx_theme",
    "html_theme_options": {"navigation_with_keys": True, "show_prev_next": True},
    "html_copy_source": False,
    "html_use_index": False,
    "nb_execution_mode": "off",
    "myst_enable_extensions": ["dollarmath"],
    "myst_heading_anchors": 3,
    "suppress_warnings": ["mystnb.unknown_mime_type", "misc.highlighting_failure"],
}
CONTENTS = """

```{{toctree}}
:hidden:

{notebooks}
notebooks/README
```
"""
FORWARD = (
    '<!DOCTYPE html><title>The course</title><meta http-equiv="refresh" content="0; README.html">'
)


def setup(app: Sphinx) -> None:
    """Let Sphinx write mathematics as MathML, where its own renderers fetch a script."""

    def write_formula(writer: nodes.NodeVisitor, node: nodes.Element) -> None:
        writer.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
        raise nodes.SkipNode

    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))


def link_elsewhere(text: str, folder: Path, root: Path) -> str:
    """The Markdown with links to files of the course that have no page leading to GitHub."""

    def link(found: re.Match) -> str:
        place = (folder / found[1]).resolve()
        has_page = place.parent == root / "notebooks" or place == root / "README.md"
        is_image = place.suffix in (".jpg", ".png", ".svg")
        if (place.is_file() and (has_page or is_image)) or not place.is_relative_to(root):
            return found[0]
        kind = "tree" if place.is_dir() else "blob"
        inside = place.relative_to(root).as_posix()
        return f"](https://github.com/{REPOSITORY}/{kind}/main/{inside}{found[2] or ''})"

    return re.sub(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)", link, text)


def write_sources(notebooks: list[Path], sources: Path) -> None:
    """Copy what becomes pages to `sources`, laid out like the repository, ready for Sphinx."""
    folder = sources / "notebooks"
    shutil.copytree(ROOT / "notebooks" / "pictures", folder / "pictures")
    for place in (Path("README.md"), Path("notebooks/README.md")):
        text = (ROOT / place).read_text("utf-8")
        (sources / place).write_text(link_elsewhere(text, (ROOT / place).parent, ROOT), "utf-8")
    names = "\n".join(f"notebooks/{path.stem}" for path in notebooks)
    with open(sources / "README.md", "a", encoding="utf-8") as file:
        file.write(CONTENTS.format(notebooks=names))
    for path in notebooks:
        notebook = read_notebook(path)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = link_elsewhere(cell.source, path.parent, ROOT)
            else:
                # Where MyST-NB takes an image's description from; it passes over the output's own.
                about = [each for o in cell.outputs for each in o.get("metadata", {}).values()]
                alt = " ".join(each["alt"] for each in about if "alt" in each)
                cell.metadata["mystnb"] = {"image": {"alt": alt}} if alt else {}
        nbformat.write(notebook, folder / path.name)


def build_site(destination: Path, notebooks: list[Path]) -> list[Path]:
    """Write the site of these notebooks into `destination`, which is made anew; its pages."""
    shutil.rmtree(destination, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder).resolve()
        write_sources(notebooks, sources)
        Sphinx(
            sources, None, destination, sources / ".doctrees", "html", CONFIGURATION, status=None
        ).build()
    (destination / "index.html").write_text(FORWARD, encoding="utf-8")
    return [destination / "README.html", *sorted(destination.glob("notebooks/*.html"))]


def main() -> int:
    """Build the site; returns the exit code."""
    print_anything()
    try:
        written = build_site(SITE, find_notebooks())
    except (CourseError, SphinxError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(written)} pages, to read: {(SITE / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
