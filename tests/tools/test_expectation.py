"""`make run` says what to expect of this machine, from a calibration."""

import json
import re
from pathlib import Path

import pytest

from tools import expectation
from tools.expectation import (
    describe_expectation,
    promise_minutes,
    read_expected,
    say_minutes,
    time_step,
    write_expected,
)
from tools.notebooks import find_notebooks
from utils.settings import ROOT

EXPECTED = {"machine": "a laptop", "step_seconds": 0.5, "notebook_seconds": {"01": 60, "02": 180}}


@pytest.mark.parametrize("times", [0.01, 0.5, 1, 2, 20])
def test_the_range_follows_the_machine(times: float) -> None:
    sentence = describe_expectation(["01", "02"], 0.5 * times, EXPECTED)
    low, high = map(
        int, re.match(r"Expect (\d+) to (\d+) minutes here: 4.0 on a ", sentence).groups()
    )
    assert 1 <= low < high and low <= max(1, 4 * times) and 4 * times <= high


def test_nothing_is_promised_that_nobody_measured() -> None:
    assert describe_expectation(["01", "06"], 0.5, EXPECTED) == ""


@pytest.mark.slow
def test_a_step_is_the_median_of_those_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.25, 1.0, 1.5, 2.0, 2.75])  # steps of 0.25, 0.5 and 0.75 seconds
    monkeypatch.setattr(expectation.time, "perf_counter", lambda: next(ticks))
    assert time_step() == 0.5


def test_seconds_of_one_machine_are_kept_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expectation, "EXPECTED", tmp_path / "expected.json")
    expectation.EXPECTED.write_text(json.dumps(EXPECTED))
    write_expected({"02": 100.04}, 0.4321, "a laptop")
    kept = {"machine": "a laptop", "step_seconds": 0.432}
    assert read_expected() == kept | {"notebook_seconds": {"01": 60, "02": 100.0}}
    write_expected({"01": 5}, 0.1, "a server")
    assert read_expected()["notebook_seconds"] == {"01": 5}


@pytest.mark.parametrize("path", [*find_notebooks(), ROOT / "README.md"], ids=lambda p: p.stem)
def test_what_is_promised_was_measured(path: Path) -> None:
    text, expected = path.read_text("utf-8"), read_expected()
    assert promise_minutes(text, path.stem, expected) == text
    other = {name: 600.0 + seconds for name, seconds in expected["notebook_seconds"].items()}
    changed = promise_minutes(text, path.stem, {"notebook_seconds": other})
    core = sum(seconds for name, seconds in other.items() if name < "06") / 60
    promised = f"took {core:.1f} min" if path.suffix == ".md" else " minutes of computing"
    assert changed.count(promised) == 1


def test_minutes_in_words() -> None:
    assert [say_minutes(s) for s in (3, 32, 50, 100, 127, 600)] == [
        *("half a minute", "half a minute", "a minute", "a minute and a half"),
        *("two minutes", "10 minutes"),
    ]
