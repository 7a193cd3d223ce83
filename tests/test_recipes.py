"""Runs that are made where they are missing, and found where they are there."""

from pathlib import Path

import pytest
import torch
from typed import list_spine

from utils import recipes
from utils.runs import find_folder, find_run
from utils.settings import ROOT, load_settings


@pytest.fixture
def settings(noise: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COURSE_DATA", str(noise))
    return load_settings("sample")


@pytest.mark.slow
def test_frozen_and_unfrozen_are_made_once(settings, monkeypatch, capsys) -> None:
    capsys.readouterr()
    frozen = recipes.load_frozen(settings)
    assert "Made the network of notebook 03" in capsys.readouterr().out
    run = find_run(settings, "frozen")
    assert (run.n_train, run.n_test, run.epochs, run.trainable_parameters) == (57, 7, 10, 2562)
    assert run.test_accuracy > 0.9  # two levels of grey: any backbone tells them apart

    unfrozen = recipes.load_or_make(settings, "unfrozen")
    assert "Made the network of notebook 04" in capsys.readouterr().out
    assert find_run(settings, "unfrozen").trainable_parameters > 3_000_000
    assert torch.equal(frozen.body.conv_stem.weight, unfrozen.body.conv_stem.weight)
    assert not torch.equal(frozen.body.conv_head.weight, unfrozen.body.conv_head.weight)

    monkeypatch.setattr(recipes, "fit", None)  # whoever trains now, fails
    for name, made in (("frozen", frozen), ("unfrozen", unfrozen)):
        found = recipes.load_or_make(settings, name)
        assert capsys.readouterr().out == "" and not found.training
        assert torch.equal(found.fc.weight, made.fc.weight)


def test_rates_and_epochs_are_those_that_the_notebooks_type() -> None:
    paths = (ROOT / "notebooks").glob("0[2-4]_*.ipynb")
    typed = {path.name[:2]: "\n".join(list_spine(path)) for path in paths}
    assert f"Adam(model.parameters(), lr={recipes.CUSTOM_CNN_RATE})" in typed["02"]
    assert f"for epoch in range({recipes.HEAD_EPOCHS}):" in typed["03"]
    assert f"for epoch in range({recipes.UNFROZEN_EPOCHS}):" in typed["04"]
    assert f"unfreeze_gently(model, {recipes.UNFROZEN_RATE:.4f})" in typed["04"]
    assert f"rate = {recipes.RATE_FACTOR} * rate" in typed["04"]


def test_custom_cnn_goes_on_from_its_checkpoint(settings, monkeypatch) -> None:
    real, epochs = recipes.fit, []

    def interrupt(*arguments, epochs: int, **options):
        return real(*arguments, epochs=1, **options)  # one of the epochs, then the kernel is killed

    def count(*arguments, **options):
        return real(*arguments, **options, on_epoch=lambda h: epochs.append(len(h["seconds"])))

    monkeypatch.setattr(recipes, "CustomCNN", SmallCNN)
    monkeypatch.setattr("utils.runs.CustomCNN", SmallCNN)
    loaders = recipes.make_loaders(settings)
    monkeypatch.setattr(recipes, "save_run", lambda *arguments: None)
    monkeypatch.setattr(recipes, "fit", interrupt)
    recipes.make_custom_cnn(settings, loaders)
    monkeypatch.setattr(recipes, "fit", count)
    recipes.make_custom_cnn(settings, loaders)
    assert epochs == list(range(2, settings.custom_cnn_epochs + 1))
    assert (find_folder(settings, "custom_cnn") / "checkpoint.pt").is_file()


class SmallCNN(torch.nn.Module):
    """In the place of the custom CNN, whose eight epochs take a minute."""

    def __init__(self, number_of_classes: int) -> None:
        super().__init__()
        self.pool = torch.nn.AdaptiveAvgPool2d(2)
        self.out = torch.nn.Linear(12, number_of_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.out(self.pool(images).flatten(start_dim=1))
