"""Runs a notebook in a kernel of its own and saves what came of it."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from utils.notebook_cleaning import drop_widgets
from utils.notebook_html import find_link, render_notebook, render_page

STARTUP_SECONDS = 1800  # for a kernel: seconds, but on a busy machine or a slow disk; then it hangs


class OwnInterpreter(KernelSpecManager):
    """Starts kernels with the interpreter that runs this module, whatever is registered here.

    The kernelspec `python3` may belong to another environment (one `ipykernel install --user` long
    ago is enough), where the course's packages are missing or others.
    """

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The one specification there is."""
        # Errors only: newer kernels warn that their (local) connection is not encrypted.
        options = ["-f", "{connection_file}", "--log-level=ERROR"]
        command = [sys.executable, "-m", "ipykernel_launcher", *options]
        return KernelSpec(argv=command, display_name="Python 3 (ipykernel)", language="python")


@contextmanager
def show_progress(name: str, total: int) -> Iterator[Callable[[], None]]:
    """Shows `name   12/48 cells  00:31`, kept up to date on a terminal, else once, at the end.

    Yields the function that counts one more cell.
    """
    start = time.monotonic()
    done = 0
    finished = threading.Event()

    def advance() -> None:
        nonlocal done
        done += 1

    def show(end: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - start), 60)
        line = f"{name:<28} {done:>3}/{total} cells  {minutes:02}:{seconds:02}"
        print(line, end=end, flush=True)

    def keep_showing() -> None:
        while not finished.wait(0.5):
            show("\r")

    ticker = threading.Thread(target=keep_showing, daemon=True)
    if sys.stdout.isatty():
        ticker.start()
    try:
        yield advance
    finally:
        finished.set()
        if ticker.is_alive():
            ticker.join()
        show("\n")


def execute_notebook(
    notebook: NotebookNode, path: Path, environment: dict[str, str], timeout: int | None
) -> str | None:
    """Runs every cell in a fresh kernel, in the folder of `path`; outputs land in `notebook`.

    Returns None, or one sentence that says which cell failed and why: what was executed before
    stands in the notebook then. `timeout` is in seconds for each cell, None for no limit.
    """
    code = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if cell.source.strip():
                code.append(index)
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_spec_manager=OwnInterpreter()),
        timeout=timeout,
        startup_timeout=STARTUP_SECONDS,
        shutdown_kernel="immediate",
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.reset_execution_trackers()
    number = 0
    with show_progress(path.stem, len(code)) as advance:
        try:
            # cleanup_kc: without it a kernel manager of our own is left running
            with client.setup_kernel(env=environment, cleanup_kc=True):
                for index in code:
                    number += 1
                    client.execute_cell(notebook.cells[index], index)
                    advance()
        except CellExecutionError as error:
            reason = f"{error.ename}: {error.evalue}"
            if error.ename == "CourseError":  # written for learners: one sentence that says it all
                reason = error.evalue
        except CellTimeoutError:
            reason = f"it took longer than {timeout} seconds"
        except DeadKernelError:
            reason = "its kernel died; most often the memory of the machine was used up"
        else:
            return None
    return f"{path.stem}, cell [{number}]: {reason}"


def save_executed(notebook: NotebookNode, path: Path, build: Path) -> Path:
    """Writes an executed notebook to `build`, and as a page with its pictures; returns the page."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = drop_widgets(cell.outputs)
    build.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, build / path.name)
    neighbours = {other: f"{other.stem}.html" for other in path.resolve().parent.glob("*.ipynb")}
    body, _ = render_notebook(notebook, path.parent, find_link(path.parent, neighbours))
    page = build / f"{path.stem}.html"
    page.write_text(render_page(path.stem, body), encoding="utf-8")
    return page
