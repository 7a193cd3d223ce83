"""Every exercise as its notebook has it: not tried yet, and right with the folded solution."""

from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from solutions import NOT_TRIED, define_names, find_solution, judge, list_exercises
from torch import nn
from torchvision.transforms import v2

EXERCISES = list_exercises()
FUNCTIONS = [each for each in EXERCISES if each.untouched.startswith(f"def {each.answer}(")]
# 2.6 asks for three trainings of the learner's own.
SOLVED = [each for each in EXERCISES if each.number != "2.6"]
# Their cell is running code with a bug to find, and so an answer already.
BUGS = ("1.3", "3.1", "3.2", "5.2")
IN_PLACE = ("3.1", "3.2")  # change what they are given: to return nothing is right


def make_names(notebook: str, folder) -> dict:
    """What a notebook's cells have made before its exercises, small."""
    for name in ("cup", "shoe"):
        (folder / name).mkdir()
        for number in range(10):
            Image.new("RGB", (8, 8)).save(folder / name / f"{number}.jpg")
    steps = [v2.Resize(64), v2.CenterCrop(56), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    torch.manual_seed(0)
    backbone = nn.Conv2d(3, 4, 3, stride=8)
    pooled = (nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    names = {
        "my_folder": str(folder),
        "criterion": nn.CrossEntropyLoss(),
        "settings": SimpleNamespace(device="cpu", mean=(0.5,) * 3, std=(0.5,) * 3),
        "class_names": ["cats", "dogs"],
        "model": nn.Sequential(backbone, *pooled, nn.Linear(4, 2)),
        "test_transform": v2.Compose([*steps, v2.Normalize((0.5,) * 3, (0.5,) * 3)]),
        "backbone": backbone,
        "ends": {"stage 4": backbone},
        "known": {"stage 4": torch.randn(12, 4)},
    }
    define_names(notebook, names)
    return names


@pytest.mark.parametrize("exercise", SOLVED, ids=lambda exercise: exercise.number)
def test_the_solution_is_right(exercise, tmp_path) -> None:
    names = make_names(exercise.notebook, tmp_path)
    exec(find_solution(exercise.notebook, exercise.number), names)
    answer = eval(exercise.answer, names)
    assert judge(exercise.number, answer).endswith("✔ right.")


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.number)
def test_nothing_tried_yet(exercise, tmp_path) -> None:
    names = make_names(exercise.notebook, tmp_path)
    exec(exercise.untouched, names)
    printed = judge(exercise.number, eval(exercise.answer, names))
    assert ("✘" if exercise.number in BUGS else NOT_TRIED) in printed
    assert NOT_TRIED in judge(exercise.number, ...)


@pytest.mark.parametrize("number", [each.number for each in FUNCTIONS])
def test_a_function_may_return_nothing_or_stop(number: str) -> None:
    if number not in IN_PLACE:
        assert NOT_TRIED in judge(number, lambda *arguments: None)
        assert NOT_TRIED in judge(number, lambda *arguments: ...)
    assert "✘ your answer stops with ZeroDivisionError" in judge(number, lambda *given: 1 // 0)
