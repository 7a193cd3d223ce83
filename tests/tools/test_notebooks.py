"""Executing notebooks, and the commands of `tools.notebooks`."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from patience import HANG, wait_until

from tools.execution import embed_images
from tools.notebooks import (
    find_core,
    find_notebooks,
    main,
    make_paths_absolute,
    run_notebooks,
    update_notebooks,
    write_foot,
)
from utils.settings import ROOT, CourseError

MakeNotebook = Callable[..., Path]


def read_texts(path: Path) -> list[str]:
    """What each code cell of a notebook printed."""
    cells = nbformat.read(path, as_version=4).cells
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in cells]


@pytest.mark.slow
def test_run_uses_this_interpreter_and_leaves_the_notebook_alone(
    make_notebook: MakeNotebook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # The trap: a kernelspec of the same name that belongs to something else.
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    spec.joinpath("kernel.json").write_text(
        json.dumps({"argv": ["/nowhere/python"], "display_name": "Old", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("COURSE_BACKBONE", "resnet101")
    path = make_notebook(
        "import os, sys\nprint(sys.executable)",
        "print(os.getcwd(), os.environ['COURSE_BACKBONE'])",
        "import ipywidgets\nipywidgets.IntSlider(value=3)",
    )
    before = path.read_bytes()
    build = tmp_path / "build"
    run_notebooks([path], build)
    shown = [sys.executable, f"{path.parent} resnet101", ""]
    assert [text.strip() for text in read_texts(build / "01_made.ipynb")] == shown
    page = (build / "01_made.html").read_text("utf-8")
    assert "resnet101" in page and "application/vnd.jupyter.widget-view" not in page
    assert path.read_bytes() == before
    out, err = capfd.readouterr()  # the kernel's own too
    assert out == "" and "01_made" in err and "3/3" in err and "WARN" not in err


@pytest.mark.slow
def test_run_stops_at_the_first_failure_and_keeps_what_ran(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    first = make_notebook(
        "print('before')",
        new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]}),
        "class CourseError(RuntimeError): pass\nraise CourseError('Fetch it by hand.\\nAgain.')",
        "print('after')",
    )
    second = make_notebook("print('never')", name="02_made")
    with pytest.raises(CourseError) as error:
        run_notebooks([first, second], tmp_path / "build")
    sentence, place = str(error.value).rsplit("\n", 1)
    assert sentence == "01_made, cell [3]: Fetch it by hand.\nAgain."
    assert place.endswith("01_made.html")
    assert read_texts(tmp_path / "build" / "01_made.ipynb")[0::3] == ["before\n", ""]
    assert not (tmp_path / "build" / "02_made.ipynb").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import time; time.sleep(90)", "it took longer than 2 seconds"),
        ("import os; os._exit(1)", "its kernel died"),
        ("{}['missing']", "KeyError: 'missing'"),
        # Neither is an error to the kernel: the first it names NoneType, the second it passes over.
        ("class A:\n    def _repr_png_(self): raise ValueError('no')\nA()", "ValueError: no"),
        (
            "get_ipython().events.register('post_execute', lambda: get_ipython().showtraceback("
            "(ValueError, ValueError('no figure'), None)))",
            "ValueError: no figure",
        ),
    ],
)
def test_every_way_to_fail_is_one_sentence(
    source: str, reason: str, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    timeout = 2 if "longer" in reason else HANG
    with pytest.raises(CourseError, match=rf"01_made, cell \[1\]: {reason}"):
        run_notebooks([make_notebook(source)], tmp_path / "build", timeout=timeout)


def test_the_foot_is_written_once() -> None:
    notebook = new_notebook(cells=[new_markdown_cell("## Next\n\nThe end.")])
    for _ in range(2):
        write_foot(notebook)
    text = notebook.cells[-1].source
    assert text.startswith("## Next\n\nThe end.\n\n<sub>Outputs of 2") and text.count("<sub>") == 1
    assert f"torch {version('torch').split('+')[0]}" in text


@pytest.mark.slow
def test_update_shares_one_clean_home_and_is_repeatable(make_notebook: MakeNotebook) -> None:
    write = "import os, pathlib\nhome = pathlib.Path(os.environ['COURSE_HOME'])\n"
    first = make_notebook(write + "(home / 'made').mkdir()\nprint(os.environ['COURSE_PROFILE'])")
    second = make_notebook(write + "print((home / 'made').exists(), home)", name="02_made")
    assert list(update_notebooks([first, second])) == ["01_made", "02_made"]
    once = [first.read_bytes(), second.read_bytes()]
    assert read_texts(first) == ["sample\n"] and read_texts(second) == ["True data\n"]
    update_notebooks([first, second])
    assert [first.read_bytes(), second.read_bytes()] == once


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import warnings\nwarnings.warn('old')", "stderr is shown"),
        ("import tempfile\nprint(tempfile.mkdtemp())", "a path of a machine is shown"),
        ("import os\nassert 'CI' not in os.environ", "AssertionError"),
    ],
)
def test_update_refuses_what_must_not_be_committed(
    source: str, reason: str, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    path = make_notebook("x = 1", source)
    before = path.read_bytes()
    with pytest.raises(CourseError, match=rf"01_made, cell \[?2\]?: .*{reason}"):
        update_notebooks([path], tmp_path / "build")
    assert path.read_bytes() == before


def test_the_core_are_the_first_five(make_notebook: MakeNotebook) -> None:
    paths = [make_notebook(name=f"{number:02}_made") for number in range(1, 8)]
    assert find_core(paths[0].parent) == paths[:5]


def test_notebooks_are_found_by_the_start_of_their_names(make_notebook: MakeNotebook) -> None:
    second = make_notebook(name="02_made")
    first = make_notebook()
    shutil.copy(first, first.with_name("draft.ipynb"))
    assert find_notebooks(None, first.parent) == [first, second]
    assert find_notebooks(["02"], first.parent) == [second]
    assert find_notebooks(["notebooks/01_made.ipynb"], first.parent) == [first]
    with pytest.raises(CourseError, match="No notebook is called '07': 01_made, 02_made"):
        find_notebooks(["07"], first.parent)
    with pytest.raises(CourseError, match="There is no notebook"):
        find_notebooks(None, first.parent.parent)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("pictures/mine.zip", "{here}/pictures/mine.zip"),
        ("photos", "photos"),
        ("https://example.org/a.tgz", "https://example.org/a.tgz"),
        ("/school/pets", "/school/pets"),
    ],
)
def test_data_is_named_as_the_caller_sees_it(
    given: str, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_DATA", given)
    monkeypatch.setenv("COURSE_HOME", "photos")  # a folder, whatever datasets are called
    make_paths_absolute()
    assert os.environ["COURSE_DATA"] == seen.format(here=tmp_path)
    assert os.environ["COURSE_HOME"] == str(tmp_path / "photos")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--profile", "huge"), ("--backbone", "resnet18"), ("--data", "nowhere/pets.zip")],
)
def test_wrong_settings_are_one_sentence(
    option: str, value: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.notebooks.signal.signal", lambda *_: None)  # here it is pytest's
    assert main(["run", option, value]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and value in err


@pytest.mark.skipif(not shutil.which("make"), reason="make is not there")
@pytest.mark.parametrize("name", ["Lea's pictures", "a $HOME $(x) `y`", "both \"and\" 'or'", "a#b"])
def test_make_run_passes_any_name_on(name: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s|" "$COURSE_DATA" "$@"\n')
    python.chmod(0o755)
    for name_of_file in ("requirements.txt", "requirements-lab.txt", ".venv/bin/pip"):
        (tmp_path / name_of_file).touch()
    (tmp_path / ".venv" / "installed").touch()
    # `make test` is a make of its own: this one would be inside it, with its variables.
    outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", "run", f"DATA={name}"]
    run = subprocess.run(command, cwd=tmp_path, env=outside, capture_output=True, text=True)
    assert run.stdout == f"{name}|-m|tools.notebooks|run|", run.stderr


@pytest.fixture
def course(tmp_path: Path, make_notebook: MakeNotebook) -> Path:
    """A small course of its own: the real tools, one made notebook."""
    made = make_notebook("raise ValueError('not there yet')")
    for folder in ("utils", "tools"):
        ignored = shutil.ignore_patterns("*.pyc")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    return made.parent.parent


@pytest.mark.slow
def test_a_failing_course_ends_with_exit_code_1(course: Path) -> None:
    command = [sys.executable, "-m", "tools.notebooks", "run", "--profile", "sample"]
    run = subprocess.run(command, cwd=course, capture_output=True, text=True, timeout=HANG)
    assert run.returncode == 1
    assert "\n01_made, cell [1]: ValueError: not there yet\n" in run.stderr
    assert "Traceback" not in run.stderr
    assert (course / "_build" / "run" / "01_made.html").exists()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals as on Unix")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_nothing_is_left_behind(name: str, course: Path, make_notebook: MakeNotebook) -> None:
    make_notebook(
        "import os, pathlib, subprocess, time\nworker = subprocess.Popen(['sleep', '9999'])\n"
        "pathlib.Path('ids.part').write_text(f'{os.getpid()} {worker.pid}')\n"
        "os.rename('ids.part', 'ids')\ntime.sleep(9999)"
    )
    command = [sys.executable, "-m", "tools.notebooks", "update"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    scratch = course / "scratch"
    scratch.mkdir()
    environment = os.environ | {"TMPDIR": str(scratch)}
    with subprocess.Popen(command, cwd=course, env=environment, text=True, **pipes) as process:
        written = course / "notebooks" / "ids"
        wait_until(written.exists)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=HANG)
    assert process.returncode == 128 + getattr(signal, name) and "Traceback" not in err, err
    ids = [int(number) for number in written.read_text().split()]
    wait_until(lambda: not any(is_alive(number) for number in ids))
    assert list(scratch.glob("course-*")) == []


def is_alive(number: int) -> bool:
    """Whether a process runs: a zombie, waiting for a busy init to bury it, does not."""
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_image_goes_into_the_page_and_its_words_stand_for_one_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "dog.png").write_bytes(b"dog")
    html = '<img alt="a dog" src="dog.png"> <img src="https://x.org/a" alt="a badge"> <img src=x>'
    assert embed_images(html, tmp_path) == (
        '<img alt="a dog" src="data:image/png;base64,ZG9n"> a badge '
    )
