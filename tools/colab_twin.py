"""Runs the core notebooks in a twin of Colab: its packages, its old widgets, its empty folder.

python -m tools.colab_twin [--python PYTHON] [NAME ...]

Makes an environment with the versions that Colab publishes (tools/colab_pins.txt) for PYTHON (such
as python3.13), puts a bare clone of what is committed where the course is fetched from, and opens
each notebook as Colab does, in a folder that holds nothing of it. The setup cell runs as it stands,
once with a network and once without. Then every cell runs, and every control is operated by the
messages that a page sends.

What this cannot show: Colab's page itself, which draws the controls with a widget manager of its
own and limits messages and files; `google.colab`, which wraps %pip and display; a GPU; the packages
of Colab that are not listed; and Kaggle, where only the way of the setup cell is the same.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from packaging.requirements import Requirement

from tools.cleaning import read_notebook
from tools.notebooks import CELL_SECONDS, CORE, find_notebooks
from tools.setup_cell import SETUP_CELL
from tools.widget_protocol import Page, find_boxes
from utils.settings import ROOT, CourseError, print_anything

BUILD = ROOT / "_build" / "colab_twin"
# What torch's exporter says of itself: the first one 2.9 (Python 3.12), the others 2.11 (3.13).
KNOWN = (
    "Missing annotation for parameter",
    "`isinstance(treespec, LeafSpec)` is deprecated",
    "return cls.__new__(cls, *args)",  # the line of that warning
)
LIST_VERSIONS = """
import json, re
from importlib.metadata import distributions
names = {re.sub("[-_.]+", "-", d.metadata["Name"]).lower(): d.version for d in distributions()}
print(json.dumps(names))
"""


def read_pins(python: str) -> dict[str, str]:
    """The versions of Colab's packages by their names, for a Python such as "3.13".

    Raises CourseError where nothing is known of that Python.
    """
    lines = Path(__file__).with_name("colab_pins.txt").read_text(encoding="utf-8").splitlines()
    heading = next(line for line in lines if line.startswith("# package"))
    known = heading.split()[2:]
    if python not in known:
        raise CourseError(f"Colab's versions are known for Python {' and '.join(known)} only.")
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: versions[known.index(python)] for name, *versions in rows}


def read_requirements() -> list[Requirement]:
    """What the notebooks need, with the bounds of requirements.txt."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line]


def list_versions(python: Path) -> dict[str, str]:
    """What is installed for an interpreter: versions by names."""
    run = subprocess.run([python, "-c", LIST_VERSIONS], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def make_environment(folder: Path, python: str) -> tuple[Path, dict[str, str]]:
    """An environment with Colab's versions, made or completed: its interpreter, and the pins.

    Where a version cannot be had, the nearest is installed, and named on the screen.
    """
    inside = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.run([inside, "-c", code], check=True, capture_output=True, text=True)
    pins, there = read_pins(version.stdout.strip()), list_versions(inside)
    missing = {name: pin for name, pin in pins.items() if there.get(name) != pin}
    pip = [str(inside), "-m", "pip", "-q", "--disable-pip-version-check"]
    names = [each.name for each in read_requirements()]
    if earlier := [name for name in names if name not in pins and name in there]:
        subprocess.run([*pip, "uninstall", "-y", *earlier], check=True)  # what a setup cell brought
    if missing:
        install = [*pip, "install"]
        if subprocess.run(install + [f"{n}=={v}" for n, v in missing.items()]).returncode:
            near = {name: find_nearest(install, name, pin) for name, pin in missing.items()}
            subprocess.run(install + [f"{n}=={v}" for n, v in near.items()], check=True)
            replaced = [f"{n} {near[n]} for {pins[n]}" for n in near if near[n] != pins[n]]
            print(f"Not to be had here, so the nearest: {', '.join(replaced)}")
    return inside, pins


def find_nearest(install: list, name: str, pin: str) -> str:
    """The pinned version, or the newest before it that can be had, or the oldest after it."""
    command = [*install, "--dry-run", "--no-deps", f"{name}=={pin}"]
    run = subprocess.run(command, capture_output=True, text=True)
    if not run.returncode:
        return pin
    found = re.search(r"from versions: (.*?)\)", run.stderr)
    # From old to new; those of another kind ("1.0rc1") do not count.
    versions = [v for v in found[1].split(", ") if re.fullmatch(r"[\d.]+", v)] if found else []
    if not versions:
        raise CourseError(f"No version of {name} can be had: {run.stderr.strip()[-300:]}")
    number = tuple(map(int, pin.split(".")))
    older = [v for v in versions if tuple(map(int, v.split("."))) < number]
    return older[-1] if older else versions[0]


class Twin:
    """An empty folder, a kernel with Colab's packages, and a clone to fetch the course from."""

    def __init__(self, build: Path, python: Path) -> None:
        self.content, self.origin, self.kernels = build / "content", build / "origin", build / "k"
        for folder in (self.content, self.origin, self.kernels):
            shutil.rmtree(folder, ignore_errors=True)
        self.content.mkdir(parents=True)
        subprocess.run(["git", "clone", "-q", "--bare", ROOT, self.origin], check=True)
        specification = {
            "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Colab's twin",
            "language": "python",
        }
        (self.kernels / "twin").mkdir(parents=True)
        (self.kernels / "twin" / "kernel.json").write_text(json.dumps(specification), "utf-8")
        self.environment = {
            k: v for k, v in os.environ.items() if k[:6] not in ("COURSE", "PYTHON")
        }
        self.environment |= {"COURSE_REPOSITORY": str(self.origin), "COURSE_PROFILE": "sample"}
        self.environment["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a warning of an old debugger

    def unplug(self) -> None:
        """From now on, nothing can be fetched."""
        shutil.rmtree(self.origin, ignore_errors=True)
        self.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
        self.environment |= dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")

    def run(self, notebook: NotebookNode) -> tuple[int, list[str]]:
        """Run all cells and then operate all controls; how many cells, and the controls' names.

        Raises CellExecutionError or CourseError where a cell or a control fails.
        """
        specs = KernelSpecManager(kernel_dirs=[str(self.kernels)], ensure_native_kernel=False)
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_spec_manager=specs, kernel_name="twin"),
            kernel_name="twin",
            timeout=CELL_SECONDS,
            shutdown_kernel="immediate",
            store_widget_state=True,
            resources={"metadata": {"path": str(self.content)}},
        )
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        with client.setup_kernel(env=self.environment, cleanup_kc=True):
            for index, cell in enumerate(notebook.cells):
                client.execute_cell(cell, index)
                if cell.cell_type == "code":
                    for output in cell.outputs:
                        said = output.text if output.get("name") == "stderr" else ""
                        unknown = [
                            line
                            for line in said.splitlines()
                            if not any(known in line for known in KNOWN)
                        ]
                        if output.output_type == "error" or unknown:
                            raise CourseError(f"{cell.source}\nshows {output}"[:2000])
            boxes = [box for cell in code for box in find_boxes(cell.outputs)]
            assert client.km
            page = Page(client.km.connection_file, client.widget_state)
            try:
                files = sorted(self.content.glob("course/data/datasets/*/**/valid/dogs/*.jpg"))[:1]
                return len(code), [name for box in boxes for name in page.operate(box, files)]
            finally:
                page.close()


def run_setup(twin: Twin) -> tuple[float, str]:
    """Seconds of the setup cell in an empty kernel, and what it prints."""
    start = time.monotonic()
    notebook = new_notebook(cells=[new_code_cell(SETUP_CELL)])
    twin.run(notebook)
    printed = "".join(output.get("text", "") for output in notebook.cells[0].outputs)
    return time.monotonic() - start, printed


def compare_runs(build: Path, python: str, paths: list[Path]) -> None:
    """Make the twin, run the notebooks in it and print what came of it. Raises CourseError."""
    inside, pins = make_environment(build / "environment", python)
    before = list_versions(inside)
    twin = Twin(build, inside)
    seconds, printed = run_setup(twin)
    if "ERROR" in printed or not (twin.content / "course" / "ready").is_file():
        raise CourseError(f"The setup cell: {printed}")
    after = list_versions(inside)
    changed = [f"{n} {v} → {after.get(n)}" for n, v in before.items() if after.get(n) != v]
    print(f"Setup cell: {seconds:.0f} s; new: {', '.join(sorted(after.keys() - before.keys()))}")
    print(f"Of {len(pins)} pinned packages {len(changed)} changed. {' '.join(changed)}")
    twin.unplug()
    seconds, printed = run_setup(twin)
    print(f"Setup cell again, without a network: {seconds:.0f} s", flush=True)
    if changed or "fatal" in printed or "ERROR" in printed:
        raise CourseError(f"The setup cell changed what was there, or fetched again: {printed}")
    for path in paths:
        start = time.monotonic()
        try:
            cells, controls = twin.run(read_notebook(path))
        except (CellExecutionError, CourseError) as error:
            raise CourseError(f"{path.stem}: {error}") from error
        about = f"{cells} cells, {len(controls)} controls ({', '.join(controls)})"
        print(f"{path.stem}: {about}, {time.monotonic() - start:.0f} s", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the twin; returns the exit code."""
    print_anything()
    parser = argparse.ArgumentParser(prog="python -m tools.colab_twin", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 03; the core if none")
    parser.add_argument("--python", default="python3.13", help="python3.13 (as now) or python3.12")
    given = parser.parse_args(arguments)
    try:
        build = BUILD / given.python
        compare_runs(build, given.python, find_notebooks(given.names or list(CORE)))
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
