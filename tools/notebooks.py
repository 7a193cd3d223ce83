"""Executes, cleans and reports the notebooks: `make run`, `make notebooks`.

python -m tools.notebooks run [--all] [--profile NAME] [--data PATH_OR_URL] [--backbone NAME]
python -m tools.notebooks update [--measure MACHINE] [NAME ...]
python -m tools.notebooks set-repository OWNER/NAME
"""

import argparse
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.cleaning import clean_notebook, read_notebook
from tools.execution import execute_notebook, save_executed
from tools.expectation import (
    describe_expectation,
    promise_minutes,
    read_expected,
    time_step,
    write_expected,
)
from tools.hygiene import find_faults, find_output_faults
from tools.setup_cell import set_repository, write_setup_cell
from utils.download.sources import SOURCES, find_source
from utils.files import write_json
from utils.settings import ROOT, CourseError, load_settings, print_anything

NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "_build" / "run"
CORE = ("01", "02", "03", "04", "05")
RESULTS = (  # what `results.json` holds of each run
    "run dataset backbone test_accuracy interval n_test n_train epochs seconds trainable_parameters"
).split()
CELL_SECONDS = 1800  # on the sample no cell takes a tenth of this: whatever reaches it hangs


def find_notebooks(names: list[str] | None = None, folder: Path = NOTEBOOKS) -> list[Path]:
    """The numbered notebooks in order, or those of them whose names start as asked ("03").

    Raises CourseError where a name fits none.
    """
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise CourseError(f"There is no notebook in {folder}: get the whole repository.")
    if not names:
        return paths
    stems = [Path(name).name.removesuffix(".ipynb") for name in names]
    for stem in stems:
        if not any(path.stem.startswith(stem) for path in paths):
            raise CourseError(f"No notebook is called {stem!r}: {', '.join(p.stem for p in paths)}")
    return [path for path in paths if path.stem.startswith(tuple(stems))]


def find_core(folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks that build on each other; the others are electives."""
    return [path for path in find_notebooks(None, folder) if path.name[:2] in CORE]


def run_notebooks(paths: list[Path], build: Path, timeout: int | None = None) -> None:
    """Execute copies of the notebooks in order and save them below `build`.

    Raises CourseError at the first failing cell, after saving what was executed.
    """
    for path in paths:
        notebook = read_notebook(path)
        failure = execute_notebook(notebook, path, dict(os.environ), timeout)
        page = save_executed(notebook, path, build)
        if failure:
            raise CourseError(f"{failure}\nWhat ran until there: {page}")


def make_paths_absolute() -> None:
    """COURSE_DATA, COURSE_HOME and COURSE_SHARED as seen from here: kernels run elsewhere."""
    for variable in ("COURSE_DATA", "COURSE_HOME", "COURSE_SHARED"):
        value = os.environ.get(variable)
        if value and "://" not in value and not (variable == "COURSE_DATA" and value in SOURCES):
            os.environ[variable] = str(Path(value).expanduser().absolute())


def run_course(paths: list[Path]) -> None:
    """Run the notebooks on the chosen settings and compare the course's runs at the end."""
    make_paths_absolute()
    settings = load_settings()
    find_source(settings)  # a wrong path is noticed here, not minutes into the first notebook
    on_sample = settings.data == "sample" and settings.device == "cpu"
    if on_sample:
        names = [path.stem for path in paths]
        print(describe_expectation(names, time_step(), read_expected()))
    print()
    shutil.rmtree(BUILD, ignore_errors=True)  # no page or figure of an earlier run beside new ones
    run_notebooks(paths, BUILD, CELL_SECONDS if on_sample else None)
    from utils.runs import collect_results, format_comparison

    rows = collect_results(settings)
    write_results(rows, BUILD / "results.json")
    print(f"\n{format_comparison(rows)}\n")
    print(f"The executed notebooks, to read, and results.json: {BUILD.relative_to(ROOT)}/")


def write_results(runs: list, path: Path) -> None:
    """The compared `utils.runs.Run`s as JSON: a row for each."""
    write_json(path, [{name: getattr(run, name) for name in RESULTS} for run in runs])


def write_foot(notebook: NotebookNode) -> None:
    """Say at the end of the last cell when the outputs were made, and with which versions."""
    last = notebook.cells[-1]
    packages = [f"{name} {version(name).split('+')[0]}" for name in ("torch", "torchvision")]
    made = ", ".join([f"Python {platform.python_version()}", *packages])
    before = re.sub(r"\n\n<sub>Outputs of .*</sub>$", "", last.source)
    last.source = f"{before}\n\n<sub>Outputs of {date.today()}, with {made}.</sub>"


def update_notebooks(paths: list[Path], build: Path = BUILD) -> dict[str, float]:
    """Run the notebooks in place, on the sample, in one new home, and clean them for committing.

    Returns the seconds that each took. Raises CourseError, and leaves that notebook's file as it
    was, where a cell fails (the record is in `build`), writes to stderr or shows a path of this
    machine.
    """
    home = Path(tempfile.mkdtemp(prefix="course-"))
    environment = {key: value for key, value in os.environ.items() if key[:7] != "COURSE_"}
    environment |= {"COURSE_PROFILE": "sample", "COURSE_HOME": str(home), "CI": "1"}
    names_of_paths = {home: "data", home.resolve(): "data", ROOT: ""}
    if len(Path.home().parts) > 1:
        names_of_paths[Path.home()] = "~"
    seconds = {}
    try:
        for path in paths:
            notebook = read_notebook(path)
            write_setup_cell(notebook)
            start = time.monotonic()
            failure = execute_notebook(notebook, path, environment, CELL_SECONDS)
            seconds[path.stem] = time.monotonic() - start
            if failure:
                page = save_executed(notebook, path, build)
                raise CourseError(f"{failure}\nWhat ran until there: {page}")
            clean_notebook(notebook, names_of_paths)
            if notebook.cells[-1].cell_type == "markdown":
                write_foot(notebook)
            for number, cell in enumerate(notebook.cells, 1):
                if cell.cell_type == "code" and (found := find_output_faults(cell)):
                    raise CourseError(f"{path.stem}, cell {number}: {found[0]}")
            nbformat.write(notebook, path)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return seconds


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the core, 01 to 05, and save it under _build/run")
    run.add_argument("--all", action="store_true", help="the electives, too")
    run.add_argument("--profile", help="sample, photos, full or auto")
    run.add_argument("--data", help="a dataset's name, a folder, an archive or its URL")
    run.add_argument("--backbone", help="resnet101 or efficientnet_lite0")
    update = commands.add_parser("update", help="run on the sample in place, clean for committing")
    update.add_argument("names", nargs="*", metavar="NAME", help="such as 03; all if none")
    update.add_argument(
        "--measure", metavar="MACHINE", help="keep the seconds, as those of this kind of machine"
    )
    repository = commands.add_parser("set-repository", help="point badges and setup cell to a fork")
    repository.add_argument("repository", metavar="OWNER/NAME")
    return parser.parse_args(arguments)


def obey(given: argparse.Namespace) -> int:
    """Do what the command line says; returns the exit code. Raises CourseError."""
    if given.command == "run":
        for name in ("profile", "data", "backbone"):
            if getattr(given, name):
                os.environ[f"COURSE_{name.upper()}"] = getattr(given, name)
        run_course(find_notebooks() if given.all else find_core())
    elif given.command == "update":
        paths = find_notebooks(given.names)
        seconds = update_notebooks(paths)
        if given.measure:
            write_expected(seconds, time_step(), given.measure)
            for path in (*find_notebooks(), ROOT / "README.md"):
                text = promise_minutes(path.read_text("utf-8"), path.stem, read_expected())
                path.write_text(text, encoding="utf-8")
        faults = [f"{path.stem}, {fault}" for path in paths for fault in find_faults(path)]
        print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
        return 1 if faults else 0
    else:
        changed = set_repository(given.repository, ROOT)
        print("\n".join(f"changed {path}" for path in changed) or "Nothing to change.")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    print_anything()
    given = parse_arguments(arguments)
    # As with Ctrl-C: unwind, so that no kernel and no temporary folder is left behind.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    try:
        return obey(given)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
