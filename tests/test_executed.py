"""A whole run with too few tests fails; a part of it may be as small as it likes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from utils.settings import ROOT


@pytest.mark.parametrize(
    ("arguments", "fails"),
    [
        (["tests"], True),
        (["tests", "-k", "one"], False),
        (["tests", "-p", "xdist.plugin", "-n", "1"], True),
    ],
)
def test_too_few_tests_are_a_fault(tmp_path: Path, arguments: list[str], fails: bool) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_one.py").write_text("def test_one(): pass\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "executed", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert "1 passed" in run.stdout
    assert (run.returncode, "1 tests were executed, fewer than" in run.stdout) == (
        int(fails),
        fails,
    )
