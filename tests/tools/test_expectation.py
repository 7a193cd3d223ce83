"""`make run` says what to expect of this machine, from a calibration."""

import json
import re
from pathlib import Path

import pytest

from tools import expectation
from tools.expectation import describe_expectation, read_expected, time_step, write_expected

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
