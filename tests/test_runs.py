"""Runs that are saved, found again and compared."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.data import Dataset, Split
from utils.exercises_03 import make_small_network
from utils.pictures import Pictures
from utils.runs import (
    collect_results,
    find_folder,
    find_interval,
    find_run,
    format_accuracy,
    format_comparison,
    load_run_test,
    load_run_weights,
    save_run,
    write_results,
)
from utils.settings import load_settings
from utils.training import Evaluation, History

KEYS = [
    "run", "dataset", "backbone", "test_accuracy", "interval", "n_test", "n_train", "epochs",
    "seconds", "trainable_parameters",
]  # fmt: skip


@pytest.fixture
def settings(tmp_path):
    return load_settings("sample", home=str(tmp_path))


def make_split(name: str, count: int) -> Split:
    paths = tuple(Path(f"{name}-{row}.png") for row in range(count))
    return Split(name, paths, np.arange(count) % 2, ("cats", "dogs"))


TRAIN = Pictures(make_split("train", 8), np.zeros((8, 4, 4, 3), np.uint8), "key of the pictures")
DATASET = Dataset(
    "sample", Path("nowhere"), ("cats", "dogs"), TRAIN.split, make_split("validation", 2),
    make_split("test", 10), "MIT", "drawn",
)  # fmt: skip


def save(settings, name: str, correct: int = 9, **changes):
    labels = torch.arange(10) % 2
    answers = labels.clone()
    answers[correct:] = 1 - answers[correct:]
    test = Evaluation(torch.nn.functional.one_hot(answers, 2).float(), labels)
    options = {"epochs": 2, "seconds": 1.5, "trainable_parameters": 1234, **changes}
    model = make_small_network(2)
    return save_run(settings, name, DATASET, TRAIN, test, model, **options)


@pytest.mark.parametrize(
    ("correct", "seen", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (292, 300, 0.9483, 0.9864),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilson_interval(correct, seen, low, high):
    assert find_interval(correct, seen) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("seen", [1, 2, 7, 77, 300, 25_000])
def test_interval_is_scipys(seen):
    from scipy.stats import binomtest

    for correct in {0, 1, seen // 3, seen // 2, seen - 1, seen}:
        expected = binomtest(correct, seen).proportion_ci(0.95, method="wilson")
        assert find_interval(correct, seen) == pytest.approx(tuple(expected), abs=1e-12)


def test_accuracy_as_text():
    expected = "97.3 % (95 % interval 94.8–98.6 %, 292 of 300)"
    assert format_accuracy(292, 300) == expected
    assert format_accuracy(1000, 2000).startswith("50.0 % (95 % interval 47.8–52.2 %, 1,000 of")


def test_saved_run_is_found_again(settings):
    history = History()
    history.append(train_loss=0.5, train_accuracy=0.75, seconds=1.0)
    saved = save(settings, "custom_cnn", history=history)
    found = find_run(settings, "custom_cnn", TRAIN)
    assert found == saved
    assert (found.correct, found.n_test, found.n_train) == (9, 10, 8)
    assert found.test_accuracy == 0.9 and found.history["train_accuracy"] == [0.75]
    test = load_run_test(settings, "custom_cnn")
    assert test.correct == 9 and test.labels.tolist() == (torch.arange(10) % 2).tolist()
    weights = load_run_weights(settings, "custom_cnn")
    for name, tensor in make_small_network(2).state_dict().items():
        assert torch.equal(weights[name], tensor), name


def test_run_of_other_training_pictures_is_not_found(settings):
    save(settings, "frozen")
    assert find_run(settings, "frozen", replace(TRAIN, key="other pictures")) is None
    assert find_run(settings, "frozen") is not None


def test_runs_of_other_backbones_and_datasets_stay_apart(settings, tmp_path):
    save(settings, "frozen")
    assert find_run(replace(settings, backbone="resnet101"), "frozen") is None
    assert find_run(replace(settings, data="photos"), "frozen") is None
    own = tmp_path / "own"
    own.mkdir()
    assert find_run(replace(settings, data=str(own)), "frozen") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run": "frozen"}', b"\xff\xfe"])
def test_damaged_run_is_no_run(settings, content):
    save(settings, "frozen")
    (find_folder(settings, "frozen") / "run.json").write_bytes(content)
    assert find_run(settings, "frozen") is None
    assert collect_results(settings) == []


def test_later_run_replaces_an_earlier_one(settings):
    save(settings, "frozen", correct=3)
    save(settings, "frozen", correct=8)
    assert find_run(settings, "frozen").correct == load_run_test(settings, "frozen").correct == 8


def test_results_in_the_order_of_the_course(settings, tmp_path):
    for name, correct in (("unfrozen", 10), ("custom_cnn", 6), ("frozen", 9)):
        save(settings, name, correct)
    rows = collect_results(settings)
    write_results(rows, tmp_path / "made" / "results.json")
    written = json.loads((tmp_path / "made" / "results.json").read_text())
    assert written == rows
    assert [row["run"] for row in written] == ["custom_cnn", "frozen", "unfrozen"]
    assert all(list(row) == KEYS for row in written)
    assert [row["test_accuracy"] for row in written] == [0.6, 0.9, 1.0]
    assert written[1]["interval"] == pytest.approx(find_interval(9, 10))
    assert {row["dataset"] for row in written} == {"sample"}

    header, *lines = format_comparison(rows).splitlines()
    assert [line.split()[0] for line in lines] == ["custom_cnn", "frozen", "unfrozen"]
    assert "90.0 %" in lines[1] and "59.6–98.2 %" in lines[1] and "1,234" in lines[1]
    assert len({len(line) for line in (header, *lines)}) == 1  # columns line up


def test_nothing_finished_yet(settings):
    assert find_run(settings, "frozen") is None
    assert collect_results(settings) == []
    assert len(format_comparison([]).splitlines()) == 1
