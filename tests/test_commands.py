"""The command lines on a terminal of few letters, as Windows has it: they print ? and go on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from utils.settings import ROOT

# What each does with a folder that is not there and whose name no such terminal can print.
COMMANDS = {
    "utils.download": [],
    "utils.predict": ["猫.jpg"],
    "utils.distributed.train": ["--epochs", "1"],
    "tools.notebooks": ["run"],
}


def run_command(module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """The command with Windows' usual encoding, or another."""
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "COURSE_PROFILE": "sample"}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment | variables, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("module", COMMANDS)
def test_a_name_without_letters_stops_no_command(module: str, tmp_path: Path) -> None:
    run = run_command(module, *COMMANDS[module], COURSE_DATA=str(tmp_path / "猫"))
    said = (run.stdout + run.stderr).decode("cp1252")
    assert run.returncode == 1 and "Traceback" not in said, said
    assert re.search(r"\?|\\u732b", said)  # Python's own last words escape instead


@pytest.mark.slow
@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_explains_itself_in_ascii(module: str) -> None:
    run = run_command(module, "--help", PYTHONIOENCODING="ascii")
    assert run.returncode == 0 and b"usage:" in run.stdout, run.stderr


def test_every_command_of_utils_is_in_the_table() -> None:
    found = set()
    for path in (ROOT / "utils").rglob("*.py"):
        is_command = 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")
        if is_command or path.name == "__main__.py":
            found.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
    found.remove("utils.distributed.speed")  # it prints JSON alone
    assert {name.removesuffix(".__main__") for name in found} == set(COMMANDS) - {"tools.notebooks"}
