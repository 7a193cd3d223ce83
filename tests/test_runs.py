"""Runs that are saved, found again and compared."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tools.notebooks import write_results
from utils import runs as runs_room
from utils.claims import find_interval
from utils.data import make_loaders
from utils.models import CustomCNN, freeze
from utils.runs import (
    RUNS,
    collect_results,
    find_best,
    find_folder,
    find_run,
    format_comparison,
    load_run,
    load_run_test,
    save_run,
)
from utils.settings import CourseError, load_settings

KEYS = [
    "run",
    "dataset",
    "backbone",
    "test_accuracy",
    "interval",
    "n_test",
    "n_train",
    "epochs",
    "seconds",
    "trainable_parameters",
]


class SmallNetwork(torch.nn.Module):
    """In the place of the backbone: a body and an `fc`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = torch.nn.Linear(3, 4)
        self.fc = torch.nn.Linear(4, 1000)


@pytest.fixture
def settings(noise: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COURSE_DATA", str(noise))
    monkeypatch.setattr(runs_room, "load_backbone", lambda settings: SmallNetwork())
    return load_settings("sample")


@pytest.fixture
def loaders(settings):
    return make_loaders(settings)


def save(settings, loaders, name: str, correct: int = 9, validation: float = 0.5):
    labels = torch.arange(10) % 2
    answers = labels.clone()
    answers[correct:] = 1 - answers[correct:]
    logits = torch.nn.functional.one_hot(answers, 2).float()
    model = SmallNetwork()
    if name == "frozen":
        freeze(model)
    model.fc = torch.nn.Linear(4, 2)
    history = {key: [0.5, 0.75] for key in ("train_loss", "train_accuracy", "validation_loss")}
    history |= {"validation_accuracy": [0.1, validation], "seconds": [1.0, 0.5]}
    return model, save_run(settings, name, model, history, (logits, labels), loaders)


def test_saved_run_is_found_again(settings, loaders) -> None:
    model, saved = save(settings, loaders, "unfrozen")
    found = find_run(settings, "unfrozen", loaders)
    assert found == saved
    assert (found.correct, found.n_test, found.epochs, found.seconds) == (9, 10, 2, 1.5)
    assert found.test_accuracy == 0.9 and found.validation_accuracy == 0.5
    logits, labels = load_run_test(settings, "unfrozen")
    assert (logits.argmax(dim=1) == labels).sum() == 9
    again = load_run(settings, "unfrozen")
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert not again.training


def test_of_a_frozen_run_the_head_alone_is_saved(settings, loaders) -> None:
    model, run = save(settings, loaders, "frozen")
    assert run.trainable_parameters == 10
    state = torch.load(find_folder(settings, "frozen") / "weights.pt", weights_only=True)
    assert list(state) == ["fc.weight", "fc.bias"]
    assert torch.equal(load_run(settings, "frozen").fc.weight, model.fc.weight)


def test_run_of_other_training_images_is_not_found(settings, loaders) -> None:
    save(settings, loaders, "frozen")
    other = make_loaders(replace(settings, validation_share=0.5))
    assert find_run(settings, "frozen", other) is None
    assert find_run(settings, "frozen", loaders) is not None


def test_runs_of_other_backbones_and_datasets_stay_apart(settings, loaders) -> None:
    save(settings, loaders, "frozen")
    assert find_run(replace(settings, backbone="resnet101"), "frozen") is None
    assert find_run(replace(settings, data="photos"), "frozen") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run": "frozen"}', b"\xff\xfe"])
def test_damaged_description_is_no_run(settings, loaders, content: bytes) -> None:
    save(settings, loaders, "frozen")
    (find_folder(settings, "frozen") / "run.json").write_bytes(content)
    assert find_run(settings, "frozen") is None
    assert collect_results(settings) == []


@pytest.mark.parametrize("name", ["weights.pt", "test.npz"])
def test_damaged_file_makes_the_run_count_as_none(settings, loaders, name: str, capsys) -> None:
    save(settings, loaders, "frozen")
    file = find_folder(settings, "frozen") / name
    file.write_bytes(file.read_bytes()[:-50])
    assert find_run(settings, "frozen") is None
    assert "damaged file" in capsys.readouterr().out


def test_later_run_replaces_an_earlier_one(settings, loaders) -> None:
    save(settings, loaders, "frozen", correct=3)
    save(settings, loaders, "frozen", correct=8)
    assert find_run(settings, "frozen").correct == 8


def test_a_run_that_breaks_off_while_it_is_saved_is_none(settings, loaders, monkeypatch) -> None:
    def stop(*_) -> None:
        raise KeyboardInterrupt

    save(settings, loaders, "frozen", correct=3)
    monkeypatch.setattr("utils.files.write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        save(settings, loaders, "frozen", correct=8)
    assert find_run(settings, "frozen") is None


def test_the_best_on_validation_is_chosen_and_of_equals_the_smallest(settings, loaders) -> None:
    save(settings, loaders, "custom_cnn", correct=10, validation=0.7)  # the test has no say
    save(settings, loaders, "unfrozen", correct=1, validation=0.9)
    save(settings, loaders, "frozen", correct=1, validation=0.9)
    results = collect_results(settings)
    assert find_best(results).run == find_best(results[::-1]).run == "frozen"


def test_a_run_that_is_not_there_is_named_with_those_that_are(settings, loaders) -> None:
    save(settings, loaders, "frozen")
    with pytest.raises(CourseError, match="There is no run 'custom_cnn' .* there is frozen:"):
        load_run(settings, "custom_cnn")


def test_results_in_the_order_of_the_course(settings, loaders, tmp_path: Path) -> None:
    for name, correct in (("unfrozen", 10), ("custom_cnn", 6), ("frozen", 9)):
        save(settings, loaders, name, correct)
    runs = collect_results(settings)
    write_results(runs, tmp_path / "made" / "results.json")
    written = json.loads((tmp_path / "made" / "results.json").read_text())
    assert [row["run"] for row in written] == ["custom_cnn", "frozen", "unfrozen"]
    assert all(list(row) == KEYS for row in written)
    assert [row["test_accuracy"] for row in written] == [0.6, 0.9, 1.0]
    assert written[1]["interval"] == pytest.approx(find_interval(9, 10))
    header, *lines = format_comparison(runs).splitlines()
    assert "90.0 %" in lines[1] and "59.6–98.2 %" in lines[1]
    assert len({len(line) for line in (header, *lines)}) == 1 and len(header) <= 72


def test_every_run_has_a_look_of_its_own() -> None:
    assert len({style.colour for style in RUNS.values()}) == len(RUNS)
    assert len({style.marker for style in RUNS.values()}) == len(RUNS)


def test_custom_cnn_is_loaded_as_what_it_is(settings, loaders) -> None:
    torch.manual_seed(0)
    model = CustomCNN(2)
    history = {"validation_accuracy": [0.5], "seconds": [1.0]}
    answers = torch.zeros(7, 2), torch.zeros(7, dtype=torch.int64)
    save_run(settings, "custom_cnn", model, history, answers, loaders)
    again = load_run(settings, "custom_cnn")
    assert isinstance(again, CustomCNN) and torch.equal(again.out.bias, model.out.bias)
