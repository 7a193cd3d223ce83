"""A notebook in JupyterLab as a learner works it: opened, run, its controls moved."""

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty
from threading import Event, Thread

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_client import BlockingKernelClient
from patience import HANG
from playwright.sync_api import Browser, Locator, Page, Response, expect

# For whatever the page is waited for: a redraw that takes a fraction of a second on an idle machine
# may take many on a busy one. A whole notebook has no limit, each of its cells has HANG.
WAIT = 600_000  # milliseconds
expect.set_options(timeout=WAIT)
# What a person can move, press or choose in a notebook's outputs.
CONTROLS = ".jp-OutputArea :is(.noUi-handle, .jupyter-widgets select, button.jupyter-button, input)"
# The badges of a notebook, which nobody needs.
BADGES = ("https://colab.research.google.com/assets/", "https://kaggle.com/static/")
FAULTS = ("stderr", "error")
# Answers as soon as more cells are finished than were before, or nothing more will be.
COUNT_FINISHED = """([before, cellsToRun]) => {
    const all = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
    const cells = all.slice(0, cellsToRun);
    const prompts = cells.map(c => c.querySelector('.jp-InputPrompt').textContent);
    const failed = document.querySelector("[data-mime-type$='jupyter.error']");
    const idle = !prompts.some(p => p.includes('*'));
    if (idle && (failed || /[0-9]/.test(prompts.at(-1)))) return {finished: 'all'};
    const finished = prompts.filter(p => /[0-9]/.test(p)).length;
    return finished > before && {finished};
}"""
END_SESSION = """async id => {
    const key = document.cookie.match(/_xsrf=([^;]*)/)[1];
    await fetch(`/api/sessions/${id}`, {method: 'DELETE', headers: {'X-XSRFToken': key}});
}"""


def strip_outputs(path: Path, count: int | None = None) -> None:
    """Empties outputs of the first `count` code cells, so that what they show is of this run."""
    notebook = nbformat.read(path, as_version=4)
    for cell in [cell for cell in notebook.cells if cell.cell_type == "code"][:count]:
        cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, path)


def count_until_last_control(sources: list[str]) -> int:
    """How many of these cells of code there are up to the last that calls into utils.widgets."""
    names, count = set(), 0
    for number, source in enumerate(sources, start=1):
        nodes = list(ast.walk(ast.parse(TransformerManager().transform_cell(source))))
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("utils.widgets"):
                names |= {alias.asname or alias.name for alias in node.names}
        if any(isinstance(node, ast.Name) and node.id in names for node in nodes):
            count = number
    return count


class KernelListener(Thread):
    """Everything a kernel says to anybody.

    What a control's callback prints or raises reaches no page: JupyterLab puts it into its log.
    """

    def __init__(self, connection_file: Path) -> None:
        super().__init__(daemon=True)
        self.client = BlockingKernelClient(connection_file=str(connection_file))
        self.client.load_connection_file()
        self.client.start_channels(hb=False, stdin=False)
        self.messages: list[dict] = []
        self.over = Event()
        self.start()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.messages.append(self.client.get_iopub_msg(timeout=0.2))
            except Empty:
                continue

    def stop(self) -> None:
        """End listening."""
        self.over.set()
        self.join()
        self.client.stop_channels()

    def find_faults(self) -> list[str]:
        """What cells and callbacks raised, and what they wrote to the stream of errors."""
        faults = []
        for message in list(self.messages):
            kind, content = message["msg_type"], message["content"]
            # The debugger says something of its own, and JupyterLab asks for controls before
            # a cell has imported ipywidgets: neither is of the notebook.
            if message["parent_header"].get("msg_type") not in ("execute_request", "comm_msg"):
                continue
            if kind == "stream" and content["text"].startswith("No such comm"):
                continue
            if kind == "error":
                faults.append(f"{content['ename']}: {content['evalue']}")
            if kind == "stream" and content["name"] == "stderr":
                faults.append(f"stderr: {content['text']}")
        return faults

    def count_moves(self, since: datetime) -> int:
        """How many messages of controls the kernel has taken up after `since`."""
        return sum(
            message["msg_type"] == "status"
            and message["content"]["execution_state"] == "busy"
            and message["parent_header"].get("msg_type") == "comm_msg"
            and message["header"]["date"] >= since
            for message in list(self.messages)
        )

    def wait_until_idle(self) -> None:
        """Return when the kernel has answered everything that was asked before."""
        self.client.kernel_info(reply=True, timeout=HANG)


@dataclass
class Notebook:
    """A notebook that has been run in a page of the browser."""

    page: Page
    kernel: KernelListener
    sources: list[str]
    home: Path  # its COURSE_HOME
    pictures: Path  # screenshots are saved with this path as the beginning of their names

    def find_cell(self, text: str) -> Locator:
        """The one cell whose source contains the text."""
        (number,) = [number for number, source in enumerate(self.sources) if text in source]
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def run_cell(self, text: str) -> Locator:
        """Run one cell again; returns it when it is finished."""
        cell = self.find_cell(text)
        before = cell.locator(".jp-InputPrompt").inner_text()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        pattern = re.compile(r"^\[\d+\]:$")
        expect(cell.locator(".jp-InputPrompt")).not_to_have_text(before)
        expect(cell.locator(".jp-InputPrompt")).to_have_text(pattern)
        self.page.keyboard.press("Escape")
        return cell

    def photograph(self, name: str, shown: Locator | None = None) -> None:
        """Save what is on the screen, with `shown` scrolled into it."""
        if shown is not None:
            shown.evaluate("element => element.scrollIntoView({block: 'end'})")
        self.pictures.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=f"{self.pictures}-{name}.png")

    def find_faults(self) -> list[str]:
        """Failed cells, anything on the stream of errors, controls that could not be shown."""
        found = self.kernel.find_faults()
        for kind in FAULTS:
            for output in self.page.locator(f"[data-mime-type$='jupyter.{kind}']").all():
                found.append(f"in the page: {output.inner_text()}")
        broken = self.page.get_by_text(re.compile("Error displaying widget|Loading widget"))
        found += [f"in the page: {output.inner_text()}" for output in broken.all()]
        cut = self.page.locator(".jp-OutputArea .widget-label").evaluate_all(
            "labels => labels.filter(l => l.scrollWidth > l.clientWidth).map(l => l.textContent)"
        )
        found += [f"cut off in the page: the name {name!r}" for name in cut]
        waiting = self.page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        code = self.page.locator(".jp-CodeCell")
        for place, prompt in enumerate(waiting):
            folded = not code.nth(place).locator(".cm-content").count()  # the setup cell: no prompt
            if not folded and not re.fullmatch(r"\[\d+\]:", prompt.strip()):
                source = code.nth(place).locator(".cm-content").inner_text()
                found.append(f"not run: {source.splitlines()[0]!r} has the prompt {prompt!r}")
        return found

    def list_untouched(self) -> list[str]:
        """The controls of the page that no test has operated yet."""
        return self.page.locator(CONTROLS).evaluate_all(
            """controls => controls.filter(c => !c.dataset.operated).map(c =>
                c.closest('.widget-inline-hbox')?.querySelector('.widget-label')?.textContent
                || c.textContent || c.outerHTML)"""
        )

    def find_slider(self, cell: Locator, label: str) -> Locator:
        """The slider of this name."""
        name = self.page.get_by_text(label, exact=True)
        return cell.locator(".widget-slider").filter(has=name)

    @contextmanager
    def hold(self, slider: Locator, steps: int = 6) -> Iterator[Callable[[float], None]]:
        """Take a slider's handle, yield a function that drags it to a place in 0..1, let it go."""
        handle, track = slider.locator(".noUi-handle"), slider.locator(".noUi-base")
        touch(handle)
        track.scroll_into_view_if_needed()
        grip, box = handle.bounding_box(), track.bounding_box()
        height = box["y"] + box["height"] / 2
        self.page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
        self.page.mouse.down()
        beyond = {0: -9, 1: 9}  # as a hand does: past the end
        yield lambda place: self.page.mouse.move(
            box["x"] + place * box["width"] + beyond.get(place, 0), height, steps=steps
        )
        self.page.mouse.up()

    def drag(self, slider: Locator, *places: float, steps: int = 6) -> None:
        """Drag a slider's handle from place to place, without waiting for what comes of it."""
        with self.hold(slider, steps) as move:
            for place in places:
                move(place)

    def press(self, slider: Locator, key: str) -> None:
        """Move a slider from the keyboard."""
        touch(slider.locator(".noUi-handle"))
        slider.locator(".noUi-handle").press(key)

    def choose(self, cell: Locator, label: str, option: str) -> None:
        """Choose from a list by its name."""
        name = self.page.get_by_text(label, exact=True)
        field = cell.locator(".widget-dropdown").filter(has=name).locator("select")
        touch(field)
        field.select_option(label=option)

    def find_button(self, cell: Locator, name: str) -> Locator:
        """The button of this name; an icon before it counts as a letter."""
        return cell.get_by_role("button", name=re.compile(rf"^\W*{name}$"))

    def click(self, cell: Locator, name: str) -> None:
        """Click a button by its name."""
        touch(self.find_button(cell, name))
        self.find_button(cell, name).click()

    def upload(self, cell: Locator, path: Path) -> None:
        """Choose a file with the upload button, through the browser's own dialog."""
        button = cell.locator("button.widget-upload")
        touch(button)
        with self.page.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files(path)


def touch(control: Locator) -> None:
    """Note that a control has been operated."""
    control.evaluate("control => { control.dataset.operated = 'yes'; }")


def now() -> datetime:
    """The time as the kernel's messages tell it."""
    return datetime.now(UTC)


def wait_until_run(page: Page, count: int) -> None:
    """Return when `count` cells of code have run, or one has failed and the rest is given up.

    It is watched for progress: any number of cells may take their time, but no one for ever.
    """
    finished = -1
    while finished != "all":
        answer = page.wait_for_function(
            COUNT_FINISHED, arg=[finished, count], timeout=HANG * 1000, polling=200
        )
        finished = answer.json_value()["finished"]


def is_new_session(response: Response) -> bool:
    """Whether JupyterLab was told of the notebook's new kernel."""
    return "/api/sessions?" in f"{response.url}?" and response.status == 201


@dataclass
class Lab:
    """A running JupyterLab."""

    address: str
    root: Path  # the course it shows
    home: Path  # COURSE_HOME of its kernels
    runtime: Path  # where its kernels' connection files are

    @contextmanager
    def open(self, browser: Browser, path: Path, pictures: Path) -> Iterator[Notebook]:
        """Open a notebook below the root, run it to its last control, yield it; end its kernel.

        What comes after the last control shows what is stored: nbval runs all cells anyway.
        """
        cells = nbformat.read(path, as_version=4).cells
        code = [number for number, cell in enumerate(cells) if cell.cell_type == "code"]
        count = count_until_last_control([cells[number].source for number in code])
        strip_outputs(path, count)
        sources = [cell.source for cell in cells]
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(WAIT)
        elsewhere: list[str] = []
        page.on("request", lambda request: elsewhere.append(request.url))
        place = path.relative_to(self.root).as_posix()
        with page.expect_response(is_new_session) as answer:
            page.goto(f"{self.address}/lab/workspaces/{path.stem}/tree/{place}?reset")
        session = answer.value.json()
        kernel = KernelListener(self.runtime / f"kernel-{session['kernel']['id']}.json")
        notebook = Notebook(page, kernel, sources, self.home, pictures)
        try:
            page.locator(".jp-Notebook .jp-Cell").nth(len(sources) - 1).wait_for()
            kernel.wait_until_idle()
            if count:
                page.locator(".jp-Notebook .jp-Cell").nth(code[count - 1]).click()
                page.get_by_role("menuitem", name="Run", exact=True).click()
                page.get_by_text("Run All Above Selected Cell", exact=True).click()
                page.keyboard.press("Control+Enter")
                wait_until_run(page, count)
            yield notebook
            known = (self.address, "data:", "blob:", *BADGES)
            assert [url for url in elsewhere if not url.startswith(known)] == []
        except BaseException:
            notebook.photograph("failed")
            raise
        finally:
            kernel.stop()
            page.evaluate(END_SESSION, session["id"])
            page.close()
