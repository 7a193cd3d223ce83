"""Runs that are made on the spot: the fine-tuned one."""

import ast

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from utils import recipes
from utils.data import open_dataset
from utils.features import extract_features
from utils.finetuning import average_weights, copy_state
from utils.pictures import decode_split
from utils.recipes import load_frozen, load_unfrozen, refit_head
from utils.runs import find_folder, find_run
from utils.settings import ROOT, load_settings
from utils.weights import find_preprocessing


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Three classes of four noisy pictures each, as an own folder of pictures."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 4), ("valid", 2)):
        for label, name in enumerate(("ants", "bees", "wasps")):
            folder = tmp_path / "own" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 100, (256, 256, 3)) + 70 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "own"))
    settings = load_settings("sample", home=str(tmp_path / "home"))
    dataset = open_dataset(settings)
    preprocessing = find_preprocessing(settings.backbone)
    return settings, dataset, decode_split(dataset.train, preprocessing, settings.home)


def test_unfrozen_is_made_once_half_of_the_way_and_found_again(course, monkeypatch, capsys):
    settings, dataset, train = course
    made = load_unfrozen(settings, dataset, train)
    assert "There is no unfrozen run yet" in capsys.readouterr().out
    run = find_run(settings, "unfrozen", train)
    assert (run.n_train, run.n_test, len(run.history["seconds"])) == (9, 6, 1)
    assert 3_000_000 < run.trainable_parameters < sum(p.numel() for p in made.parameters())

    monkeypatch.setattr(recipes, "fit", None)  # whoever trains now, fails
    found = load_unfrozen(settings, dataset, train)
    assert "Found the unfrozen run" in capsys.readouterr().out
    load_unfrozen(settings, dataset, train, quiet=True)
    assert capsys.readouterr().out == ""
    assert not found.training

    start = load_frozen(settings, dataset, train, quiet=True)
    features = extract_features(settings, train, find_preprocessing(settings.backbone))
    start = copy_state(refit_head(start, features))
    checkpoint = find_folder(settings, "unfrozen") / "checkpoint.pt"
    end = torch.load(checkpoint, weights_only=True)["model"]
    assert torch.equal(start["conv_stem.weight"], end["conv_stem.weight"])  # stayed frozen
    assert not torch.equal(start["conv_head.weight"], end["conv_head.weight"])
    for name, tensor in average_weights(start, end, 0.5).items():
        assert torch.equal(tensor, found.state_dict()[name]), name


def find_plan(source: str) -> str:
    """The syntax tree of the first `Plan(…)` that some code assigns or returns."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign | ast.Return) and isinstance(node.value, ast.Call):
            if ast.unparse(node.value.func) == "Plan":
                return ast.dump(node.value)
    raise AssertionError("no plan")


def test_the_recipe_trains_as_notebook_04_does():
    cells = nbformat.read(ROOT / "notebooks" / "04_unfreezing.ipynb", 4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    recipes_code = (ROOT / "utils" / "recipes.py").read_text("utf-8")
    recipe = recipes_code.split("def plan_fine_tuning")[1]
    assert find_plan(code) == find_plan(f"def plan_fine_tuning{recipe}")
    assert "plan_fine_tuning(settings, preprocessing)" in recipe.split("def make_unfrozen")[1]
    assert f"HALF = {recipes.HALF}" in code
