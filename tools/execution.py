"""Runs a notebook in a kernel of its own and saves what came of it."""

import base64
import mimetypes
import re
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter
from tqdm import tqdm

from tools.cleaning import drop_widgets

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 1rem/1.5 sans-serif; max-width: 60rem; margin: auto; padding: 1rem }}
pre {{ font-size: 0.85rem; line-height: 1.35; overflow-x: auto }}
.highlight {{ background: #f5f5f5; padding: 0.1rem 0.6rem }}
.prompt, .anchor-link {{ display: none }}
.output_error {{ color: #b00020 }}
img {{ max-width: 100% }}
table {{ border-collapse: collapse }} td, th {{ border: 1px solid #ccc; padding: 0.2rem 0.5rem }}
{colours}
</style></head>
<body>
{body}
</body></html>
"""


class FailedCellError(Exception):
    """A cell showed an error that it is not tagged for."""


def execute_notebook(
    notebook: NotebookNode, path: Path, environment: dict[str, str], timeout: int | None
) -> str | None:
    """Run every cell in a fresh kernel, in the folder of `path`; outputs land in `notebook`.

    Returns None, or one sentence that says which cell failed and why: what was executed before
    stands in the notebook then. `timeout` is in seconds for each cell, None for no limit.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    total = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
    progress = tqdm(
        total=total, desc=f"{path.stem:<28}", unit="cell", bar_format="{desc} {n}/{total} {elapsed}"
    )

    def check_cell(cell: NotebookNode, **_: object) -> None:
        # A figure that cannot be drawn is an error in the outputs, and none in the kernel's reply
        # (or one without a name); the first of several is the cause.
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors and "raises-exception" not in cell.metadata.get("tags", []):
            name, reason = errors[0].ename, errors[0].evalue
            # A CourseError is written for learners: one sentence that says it all.
            raise FailedCellError(reason if name == "CourseError" else f"{name}: {reason}")
        progress.update()

    client = NotebookClient(
        notebook,
        # No kernel specification but that of this interpreter: `python3` may be registered for
        # another environment, where the course's packages are missing.
        km=AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[])),
        # Newer kernels warn that their (local) connection is not encrypted.
        extra_arguments=["--log-level=ERROR"],
        timeout=timeout,
        shutdown_kernel="immediate",
        coalesce_streams=True,
        store_widget_state=False,
        record_timing=False,
        on_cell_executed=check_cell,
        resources={"metadata": {"path": str(path.parent)}},
    )
    with progress:
        try:
            # Not execute(), which keeps Ctrl-C and SIGTERM to itself. cleanup_kc: without it a
            # kernel manager of our own is left running.
            with client.setup_kernel(env=environment, cleanup_kc=True):
                client.reset_execution_trackers()
                for index, cell in enumerate(notebook.cells):
                    client.execute_cell(cell, index)
            return None
        except FailedCellError as error:
            reason = str(error)
        except CellExecutionError as error:
            reason = f"{error.ename}: {error.evalue}"
        except CellTimeoutError:
            reason = f"it took longer than {timeout} seconds"
        except DeadKernelError:
            reason = "its kernel died; most often the memory of the machine was used up"
    return f"{path.stem}, cell [{progress.n + 1}]: {reason}"


def save_executed(notebook: NotebookNode, path: Path, build: Path) -> Path:
    """Write an executed notebook to `build`, and as a page with its images; returns the page."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = drop_widgets(cell.outputs)
    build.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, build / path.name)
    # Of nbconvert's templates this is the one without scripts from the network, and with alt texts.
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    body = embed_images(body, path.parent)
    colours = HtmlFormatter().get_style_defs(".highlight")
    page = build / f"{path.stem}.html"
    page.write_text(PAGE.format(title=path.stem, colours=colours, body=body), encoding="utf-8")
    return page


def embed_images(html: str, folder: Path) -> str:
    """The page with the images of `folder` in it, and of images elsewhere (badges) the words.

    Not nbconvert's option of this name, which closes every <details> before what it folds.
    """

    def embed(tag: re.Match) -> str:
        source = read_attribute("src", tag[0])
        if source.startswith("data:"):
            return tag[0]
        if not (folder / source).is_file():
            return read_attribute("alt", tag[0])
        content = base64.b64encode((folder / source).read_bytes()).decode("ascii")
        kind = mimetypes.guess_type(source)[0]
        return tag[0].replace(source, f"data:{kind};base64,{content}")

    return re.sub(r"<img [^>]*>", embed, html)


def read_attribute(name: str, tag: str) -> str:
    """An attribute of an HTML tag; "" where the tag has none of this name."""
    found = re.search(rf'\s{name}="([^"]*)"', tag)
    return found[1] if found else ""
