"""Processes killed with SIGKILL at random moments go on as if nothing had been (`make soak`)."""

import sys
from pathlib import Path

import pytest

from tools import soak

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="Windows has no SIGKILL, and macOS does not fork what has torch"
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["training", "unpacking"])
def test_killed_at_random_moments(name: str, tmp_path: Path) -> None:
    report = getattr(soak, f"soak_{name}")(tmp_path / "soak", kills=3, seed=1)
    assert (report.tried, report.survived) == (3, 3), report
    assert report.trials and report.equal == report.trials, report
