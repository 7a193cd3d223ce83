"""Notebook 02's training in a kernel that is killed in the middle, and the notebook run again."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from utils.data import open_dataset
from utils.notebook_execution import execute_notebook
from utils.notebooks import CELL_SECONDS
from utils.pictures import decode_split
from utils.recipes import make_custom_cnn
from utils.runs import find_folder, load_run_weights
from utils.settings import ROOT, load_settings
from utils.weights import find_preprocessing

NOTEBOOK = ROOT / "notebooks" / "02_custom_cnn.ipynb"
EPOCHS = 4
# Four epochs are enough to be killed in the middle of.
FIRST = """\
from dataclasses import replace
settings = replace(settings, custom_cnn_epochs={})
"""
# In the middle of an epoch, not between two: at the first step after there is a checkpoint.
KILL = """\
import os, signal
from torch.optim.optimizer import register_optimizer_step_pre_hook


def kill_after_checkpoint(*_):
    if next(settings.home.glob("runs/*/custom_cnn/checkpoint.pt"), None):
        os.kill(os.getpid(), signal.SIGKILL)


register_optimizer_step_pre_hook(kill_after_checkpoint)
"""


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """Noise in two colours, eight pictures a class to train on, and one of each to test."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 8), ("valid", 1)):
        for red, name in enumerate(("green", "red")):
            folder = tmp_path / "own" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 160, (64, 64, 3), np.uint8)
                pixels[..., 1 - red] += 90
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "own"


def cut_notebook(more: str = "") -> nbformat.NotebookNode:
    """What the training needs: everything above the first section, the class, "Training".

    `more` is run after the setup cell.
    """
    notebook = nbformat.read(NOTEBOOK, 4)
    section, kept = "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            section = cell.source.splitlines()[0]
        tags = cell.metadata.get("tags", [])
        is_class = "same-as:utils.models.CustomCNN" in tags
        if cell.cell_type == "code" and (section in ("", "## Training") or is_class):
            kept.append(cell)
            if "setup" in tags:
                kept.append(nbformat.v4.new_code_cell(FIRST.format(EPOCHS) + more))
    notebook.cells = kept
    return notebook


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows kills otherwise")
def test_killed_kernel_goes_on_and_ends_with_the_same_bits(own_folder, tmp_path, monkeypatch):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    options = {"data": str(own_folder), "home": str(killed)}
    monkeypatch.delenv("COURSE_HOME")
    settings = replace(load_settings("sample", **options), custom_cnn_epochs=EPOCHS)
    environment = dict(os.environ) | {
        "COURSE_PROFILE": "sample", "COURSE_DATA": str(own_folder), "COURSE_HOME": str(killed),
    }  # fmt: skip
    killed.mkdir()

    failure = execute_notebook(cut_notebook(KILL), NOTEBOOK, environment, CELL_SECONDS)
    assert failure is not None and "its kernel died" in failure
    checkpoint = find_folder(settings, "custom_cnn") / "checkpoint.pt"
    begun = torch.load(checkpoint, weights_only=True)
    assert len(begun["history"]["seconds"]) == 1 < EPOCHS

    again = cut_notebook()
    assert execute_notebook(again, NOTEBOOK, environment, CELL_SECONDS) is None
    resumed = torch.load(checkpoint, weights_only=True)
    assert len(resumed["history"]["seconds"]) == EPOCHS
    kept = len(begun["history"]["seconds"])
    assert resumed["history"]["seconds"][:kept] == begun["history"]["seconds"]  # not trained again

    # Uninterrupted, and by the recipe the other notebooks use: the very same weights.
    settings = replace(settings, home=whole)
    dataset = open_dataset(settings)
    train = decode_split(dataset.train, find_preprocessing(settings.backbone), settings.home)
    make_custom_cnn(settings, dataset, train)
    weights = load_run_weights(settings, "custom_cnn")
    assert weights.keys() == resumed["model"].keys()
    for name, tensor in weights.items():
        assert torch.equal(resumed["model"][name], tensor), name
        assert not torch.equal(begun["model"][name], tensor), name

    # The curves that grew are stored as one figure, and nothing was complained of.
    outputs = next(cell.outputs for cell in again.cells if "on_epoch=show" in cell.source)
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) == 1
    last = resumed["history"]["validation_accuracy"][-1]
    assert f"{last:.1%}" in figures[0].data["text/plain"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
