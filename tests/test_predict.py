"""The command line: which network is asked, what it prints, and what it says of bad files."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from utils import predict, runs
from utils.data import Loaders
from utils.settings import ROOT, CourseError, load_settings

LABELS = torch.arange(8) % 2
RIGHT = nn.functional.one_hot(LABELS, 2).float(), LABELS


class Colour(nn.Module):
    """A network whose `fc` gets the mean of red and of blue."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1000)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(images.mean(dim=(2, 3))[:, [2, 0]])


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setattr(runs, "load_backbone", lambda settings: Colour())
    settings = replace(load_settings("sample"), device="cpu", precision="float32")
    monkeypatch.setattr(predict, "load_settings", lambda: settings)
    return settings


def save(settings, name: str, accuracy: float = 0.9, dataset: str = "sample", age: float = 0):
    """A run that names the brighter of blue and red, `age` seconds old."""
    model = Colour()
    model.fc = nn.Linear(2, 2)
    with torch.no_grad():
        model.fc.weight.copy_(10 * torch.eye(2))
        model.fc.bias.zero_()
    loader = DataLoader(TensorDataset(torch.zeros(8, 3), LABELS))
    history = {"seconds": [1.0], "validation_accuracy": [accuracy]}
    loaders = Loaders(loader, loader, loader, ["blue", "red"])
    run = runs.save_run(settings, name, model, history, RIGHT, loaders)
    folder = runs.find_folder(settings, name)
    if dataset != "sample":
        place = settings.home / "runs" / f"{dataset}-{settings.backbone}" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = folder.rename(place)
        file = folder / "run.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"dataset": dataset}))
    written = (folder / "run.json").stat().st_mtime - age
    os.utime(folder / "run.json", (written, written))
    return run


def make_file(folder: Path, name: str, colour: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 50), colour).save(path)
    return path


def run_main(capsys, *arguments) -> tuple[int, list[str], list[str]]:
    capsys.readouterr()
    code = predict.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err.splitlines()


def test_files_and_folders(settings, tmp_path, capsys):
    save(settings, "frozen")
    files = [make_file(tmp_path / "pets" / "blue", f"{k}.png", "blue") for k in range(40)]
    make_file(tmp_path / "pets" / "red", "0.png", "red")
    make_file(tmp_path / "pets" / "red", "1.png", "blue")
    (tmp_path / "pets" / "red" / "broken.jpg").write_bytes(b"no image at all")
    (tmp_path / "pets" / "red" / "notes.txt").write_text("passed over")
    (tmp_path / "pets" / "red" / "._1.png").write_bytes(b"passed over")
    make_file(tmp_path / "pets" / ".hidden", "x.png", "red")
    code, out, err = run_main(capsys, tmp_path / "pets")
    assert code == 0 and len(out) == 44 and len(err) == 1 and "broken.jpg" in err[0]
    assert out[0] == ("Network: frozen backbone, efficientnet_lite0, trained on 8 images of sample")
    assert out[1].split()[-3:] == ["blue", "100.0", "%"]
    assert out[-1].startswith("Accuracy") and "41 of 42" in out[-1] and "interval" in out[-1]
    code, out, err = run_main(capsys, files[0], tmp_path / "gone.png")
    assert code == 0 and len(out) == 2 and err == [f"{tmp_path / 'gone.png'} does not exist."]


def test_nothing_to_predict(settings, tmp_path, capsys):
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    (tmp_path / "empty").mkdir()
    image = make_file(tmp_path, "a.png", "red")
    code, out, err = run_main(capsys, image)
    assert (code, out, len(err)) == (1, [], 1) and "no trained network" in err[0]
    code, out, err = run_main(capsys, image, "--run", "unfrozen")
    assert (code, out, len(err)) == (1, [], 1) and "no run 'unfrozen'" in err[0]
    save(settings, "frozen")
    code, out, err = run_main(capsys, text)
    assert (code, len(out), len(err)) == (1, 1, 1) and str(text) in err[0]
    code, out, err = run_main(capsys, tmp_path / "empty")
    assert (code, out, err) == (1, [], [f"{tmp_path / 'empty'} has no images in it."])


def test_the_best_on_validation_of_the_newest_images(settings, monkeypatch):
    def choose(name=None):
        folder, run, chosen = predict.choose_network(settings, name)
        assert folder.name == run.run and chosen.backbone == run.backbone
        return run.dataset, run.run

    with pytest.raises(CourseError, match="no trained network"):
        choose()
    save(settings, "frozen", 0.8, "mine-1234", age=500)
    save(settings, "custom_cnn", 0.9, "mine-1234", age=900)
    assert choose() == ("mine-1234", "custom_cnn")
    save(settings, "frozen", 1.0, "older-5678", age=2000)
    save(settings, "unfrozen", 1.0)  # of the sample, and newer
    assert choose() == ("mine-1234", "custom_cnn")
    assert choose("frozen") == ("mine-1234", "frozen")
    assert choose("unfrozen") == ("sample", "unfrozen")
    monkeypatch.setenv("COURSE_DATA", "sample")
    assert choose() == ("sample", "unfrozen")
    monkeypatch.setenv("COURSE_BACKBONE", "resnet101")
    with pytest.raises(CourseError):
        choose()


def test_a_pipe_that_has_not_all_letters(settings, tmp_path, monkeypatch):
    save(settings, "frozen")
    image = make_file(tmp_path, "кошка.png", "red")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    assert predict.main([str(image)]) == 0
    sys.stdout.flush()
    assert b"?????.png  red  100.0 %" in written.getvalue()


def test_command_line_starts_without_pytorch():
    code = "import sys, utils.predict; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
