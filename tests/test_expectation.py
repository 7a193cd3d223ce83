"""`make run` says what to expect of this machine, from a calibration."""

import re

import pytest

from utils import expectation
from utils.expectation import MEASURED_MINUTES, MEASURED_STEP, describe_minutes, time_step


def read_range(row: str) -> tuple[int, int]:
    return tuple(map(int, re.match(r"estimate +(\d+) to (\d+) minutes here  ", row).groups()))


def test_the_measured_machine_finds_its_own_minutes_in_the_range():
    low, high = read_range(describe_minutes(MEASURED_STEP))
    assert low < MEASURED_MINUTES < high


@pytest.mark.parametrize("times", [0.001, 0.1, 0.5, 2, 10])
def test_the_range_follows_the_machine(times: float):
    low, high = read_range(describe_minutes(times * MEASURED_STEP))
    assert 1 <= low < high
    assert low <= max(1, times * MEASURED_MINUTES) and times * MEASURED_MINUTES <= high


def test_a_step_is_the_median_of_those_of_a_second(monkeypatch: pytest.MonkeyPatch):
    ticks = iter([0.0, 0.25, 1.0, 1.5, 2.0, 2.75])  # steps of 0.25, 0.5 and 0.75 seconds
    monkeypatch.setattr(expectation.time, "perf_counter", lambda: next(ticks))
    assert time_step() == 0.5
