"""Executes, cleans and reports the notebooks: `make run`, `make notebooks`.

    python -m utils.notebooks run [--profile NAME] [--data PATH_OR_URL] [--backbone NAME]
    python -m utils.notebooks update [NAME ...]
    python -m utils.notebooks set-repository OWNER/NAME
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import nbformat

from utils.errors import CourseError
from utils.expectation import describe_minutes, time_step
from utils.notebook_cleaning import clean_notebook, read_notebook, write_setup_cell
from utils.notebook_execution import execute_notebook, save_executed
from utils.notebook_hygiene import find_faults, find_output_faults
from utils.notebook_setup import set_repository
from utils.settings import PROFILES, ROOT, load_settings
from utils.sources import SOURCES, find_source

NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "_build" / "run"
CELL_SECONDS = 3600  # on the sample no cell takes a tenth of this, on two slow cores: it hangs


def find_notebooks(names: list[str] | None = None, folder: Path = NOTEBOOKS) -> list[Path]:
    """The numbered notebooks in order, or those of them whose names start as asked ("03")."""
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


def run_notebooks(paths: list[Path], build: Path, timeout: int | None = None) -> None:
    """Executes copies of the notebooks in order and saves them below `build`.

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


def run_course() -> None:
    """Runs the whole course on the chosen settings and compares its runs at the end."""
    make_paths_absolute()
    settings = load_settings()
    find_source(settings.data)  # a wrong path is noticed here, not minutes into the first notebook
    own = PROFILES["sample"]
    if (settings.data, settings.backbone, settings.device) == (own.data, own.backbone, "cpu"):
        print(describe_minutes(time_step()))
    print()
    shutil.rmtree(BUILD, ignore_errors=True)  # no page or figure of an earlier run beside new ones
    run_notebooks(find_notebooks(), BUILD, CELL_SECONDS if settings.data == "sample" else None)
    from utils.runs import collect_results, format_comparison, write_results

    rows = collect_results(settings)
    write_results(rows, BUILD / "results.json")
    print(f"\n{format_comparison(rows)}\n")
    print(f"The executed notebooks, to read, and results.json: {BUILD.relative_to(ROOT)}/")


def update_notebooks(paths: list[Path], build: Path = BUILD) -> list[str]:
    """Runs the notebooks in place, on the sample, from a clean state, and cleans them.

    Returns the faults that are left. Raises CourseError, and leaves that notebook's file as it
    was, where a cell fails (the record is in `build`), writes to stderr or shows a path of this
    machine.
    """
    home = Path(tempfile.mkdtemp(prefix="course-"))
    environment = {key: value for key, value in os.environ.items() if key[:7] != "COURSE_"}
    environment |= {"COURSE_PROFILE": "sample", "COURSE_HOME": str(home), "CI": "1"}
    names_of_paths = {home: "data", home.resolve(): "data", ROOT: ""}
    if len(Path.home().parts) > 1:
        names_of_paths[Path.home()] = "~"
    faults = []
    try:
        for path in paths:
            notebook = read_notebook(path)
            write_setup_cell(notebook)
            failure = execute_notebook(notebook, path, environment, CELL_SECONDS)
            if failure:
                page = save_executed(notebook, path, build)
                raise CourseError(f"{failure}\nWhat ran until there: {page}")
            clean_notebook(notebook, names_of_paths)
            for number, cell in enumerate(notebook.cells, 1):
                if cell.cell_type == "code" and (found := find_output_faults(cell)):
                    raise CourseError(f"{path.stem}, cell {number}: {found[0]}")
            nbformat.write(notebook, path)
            faults += [f"{path.stem}, {fault}" for fault in find_faults(path)]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return faults


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m utils.notebooks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the whole course, save it under _build/run")
    run.add_argument("--profile", help="sample, photos, full or auto")
    run.add_argument("--data", help="a dataset's name, a folder, an archive or its URL")
    run.add_argument("--backbone", help="resnet101 or efficientnet_lite0")
    update = commands.add_parser("update", help="run on the sample in place, clean for committing")
    update.add_argument("names", nargs="*", metavar="NAME", help="such as 03; all if none")
    repository = commands.add_parser("set-repository", help="point badges and setup cell to a fork")
    repository.add_argument("repository", metavar="OWNER/NAME")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    given = parse_arguments(arguments)
    # As with Ctrl-C: unwind, so that no kernel and no temporary folder is left behind.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    try:
        if given.command == "run":
            for name in ("profile", "data", "backbone"):
                if getattr(given, name):
                    os.environ[f"COURSE_{name.upper()}"] = getattr(given, name)
            run_course()
        elif given.command == "update":
            faults = update_notebooks(find_notebooks(given.names))
            print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
            return 1 if faults else 0
        else:
            changed = set_repository(given.repository, ROOT)
            print("\n".join(f"changed {path}" for path in changed) or "Nothing to change.")
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
