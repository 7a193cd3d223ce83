"""Claims: true and false, with and without CI; differences that are and are not shown."""

import pytest
import torch

from utils.claims import claim, claim_better, find_interval, find_p_value, format_accuracy
from utils.settings import CourseError


def test_a_true_claim_is_printed(capsys: pytest.CaptureFixture) -> None:
    claim(True, "one is one")
    assert capsys.readouterr().out == "✔ one is one\n"


def test_a_false_claim_stops_ci_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.delenv("CI", raising=False)
    claim(False, "one is two")
    assert capsys.readouterr().out == "✘ one is two\n"
    monkeypatch.setenv("CI", "1")
    with pytest.raises(CourseError, match="one is two"):
        claim(False, "one is two")


@pytest.mark.parametrize(
    ("better", "worse", "shown"),
    [
        ((297, 300), (226, 300), True),
        ((35, 40), (30, 40), False),  # 60–86 % and 74–95 %
        ((226, 300), (297, 300), False),
    ],
)
def test_overlapping_intervals_show_no_difference(
    better: tuple, worse: tuple, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "1")
    if shown:
        claim_better(better, worse, "the first is better")
    else:
        with pytest.raises(CourseError, match="not shown: the first is better"):
            claim_better(better, worse, "the first is better")


def test_pairs_are_judged_by_what_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("CI", "1")
    worse = torch.ones(300, dtype=torch.bool)
    worse[:43] = False
    better = worse.clone()
    better[:33], better[-6:] = True, False
    claim_better(better, worse, "unfreezing pays")
    assert "gained 33, lost 6" in capsys.readouterr().out
    better[5:33] = worse[5:33]  # five gained, six lost
    with pytest.raises(CourseError, match="gained 5, lost 6"):
        claim_better(better, worse, "unfreezing pays")
    with pytest.raises(CourseError, match="two tensors of right or wrong, or two pairs"):
        claim_better(better, (257, 300), "one of each")


def test_intervals_and_p_values_are_the_published_ones() -> None:
    low, high = find_interval(292, 300)
    assert (round(low, 3), round(high, 3)) == (0.948, 0.986)  # Wilson, by hand
    assert find_interval(0, 10)[0] == 0 and find_interval(10, 10)[1] == 1
    assert find_p_value(6, 0) == pytest.approx(2 * 0.5**6)
    assert find_p_value(0, 0) == 1
    assert format_accuracy(292, 300) == "97.3 % (95 % interval 94.8–98.6 %, 292 of 300)"
