"""From a run to answers: the classifier, photos of one's own, exports, and the command line."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from utils import classifier as classifier_module
from utils import exports as exports_module
from utils import predict
from utils.calibration import save_calibration
from utils.classifier import Classifier, choose_run, load_classifier, predict_files
from utils.data import Dataset, Split
from utils.errors import CourseError
from utils.exports import (
    export_onnx,
    format_model_card,
    load_safetensors,
    save_safetensors,
)
from utils.photos import describe_judgement, judge_photo, make_odd_files
from utils.pictures import Pictures
from utils.runs import RUN_NAMES, find_folder, find_run, save_run
from utils.settings import ROOT, load_settings
from utils.training import Evaluation, History
from utils.weights import Preprocessing

HALF = (0.5, 0.5, 0.5)
SMALL = Preprocessing(40, 32, "bilinear", HALF, HALF)
CLASSES = ("blue", "red")
LABELS = torch.arange(8) % 2
SAID = Evaluation(nn.functional.one_hot(LABELS, 2).float(), LABELS)


class Colour(nn.Module):
    """Names the brighter of blue and red; has the parts that frozen backbones have."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.bn2 = nn.Conv2d(3, 2, 1, bias=False)
        self.fc = nn.Linear(2, classes)
        with torch.no_grad():
            self.bn2.weight.copy_(torch.tensor([[0, 0, 1.0], [1.0, 0, 0]]).view(2, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.bn2(images).mean(dim=(2, 3)))


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setattr(classifier_module, "load_backbone", lambda name: Colour())
    monkeypatch.setattr(classifier_module, "find_preprocessing", lambda name: SMALL)
    return replace(load_settings("sample"), device="cpu", precision="float32")


def make_head() -> nn.Linear:
    head = nn.Linear(2, 2)
    with torch.no_grad():
        head.weight.copy_(10 * torch.eye(2))
        head.bias.zero_()
    return head


def save(settings, name: str, model: nn.Module, validation: float | None = None, parameters=5):
    split = Split("train", tuple(map(Path, "abcdefgh")), LABELS.numpy(), CLASSES)
    dataset = Dataset("sample", Path("x"), CLASSES, split, split, split, "MIT", "drawn")
    train = Pictures(split, np.zeros((8, 4, 4, 3), np.uint8), "key")
    history = None if validation is None else History(validation_accuracy=[0.1, validation])
    return save_run(settings, name, dataset, train, SAID, model, epochs=1, seconds=1.0,
                    trainable_parameters=parameters, history=history), dataset  # fmt: skip


def make_file(folder: Path, name: str, colour: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 50), colour).save(path)
    return path


def make_classifier() -> Classifier:
    model = Colour(2)
    model.fc = make_head()
    return Classifier("resnet101", model.eval(), CLASSES, SMALL, temperature=2.0)


def test_best_run_is_chosen_on_validation(settings):
    with pytest.raises(CourseError, match="no trained network .* run notebook 03"):
        choose_run(settings)
    save(settings, "custom_cnn", make_head(), 0.7, 900)
    assert choose_run(settings) == "custom_cnn"
    save(settings, "unfrozen", make_head(), 0.9, 800)
    assert choose_run(settings) == "unfrozen"
    save(settings, "frozen", make_head(), None, 5)
    assert choose_run(settings) == "frozen"  # nothing stored: taken for the best
    wrong = Evaluation(SAID.logits.flip(1), LABELS)
    save_calibration(settings, "frozen", wrong)  # measured now, and bad
    assert choose_run(settings) == "unfrozen"
    save_calibration(settings, "frozen", SAID)
    save_calibration(settings, "unfrozen", SAID)
    assert choose_run(settings) == "frozen"  # equally good, fewer trained parameters


def test_saved_run_names_files(settings, tmp_path):
    save(settings, "frozen", make_head())
    classifier = load_classifier(settings, "frozen")
    assert classifier.classes == CLASSES and classifier.temperature == 1.0
    files = [make_file(tmp_path, f"{k}.png", c) for k, c in enumerate(("red", "blue") * 20)]
    files.insert(3, tmp_path / "gone.png")
    answers = list(predict_files(classifier, files))
    assert [path for path, _ in answers] == files
    assert isinstance(answers.pop(3)[1], CourseError)
    assert [CLASSES[int(row.argmax())] for _, row in answers] == ["red", "blue"] * 20
    assert all(row.sum().item() == pytest.approx(1) for _, row in answers)


def test_temperature_of_the_run_is_used(settings):
    save(settings, "frozen", make_head())
    temperature = save_calibration(settings, "frozen", SAID)
    assert load_classifier(settings, "frozen").temperature == temperature != 1.0


def test_run_that_is_not_there_or_too_old(settings):
    save(settings, "custom_cnn", make_head())
    with pytest.raises(CourseError, match="no run 'frozen'.* there is custom_cnn"):
        load_classifier(settings, "frozen")
    path = find_folder(settings, "custom_cnn") / "run.json"
    path.write_text(path.read_text().replace('"classes"', '"history"'))
    with pytest.raises(CourseError):
        load_classifier(settings, "custom_cnn")


def test_photo_and_stranger(tmp_path):
    classifier, backbone = make_classifier(), Colour()
    backbone.fc = nn.Identity()
    training = torch.tensor([[-1.0, 1.0], [1.0, -1.0]]).repeat(5, 1)
    red = make_file(tmp_path, "red.png", "red")
    judged = judge_photo(classifier, backbone, training, 0.1, red)
    assert describe_judgement(judged, CLASSES).startswith("red, over 99% sure")
    assert judged.image.shape == (32, 32, 3) and judged.heat.shape == (32, 32)
    grey = make_file(tmp_path, "grey.png", "white")
    judged = judge_photo(classifier, backbone, training, 0.1, grey)
    assert judged.is_strange and "looks like neither" in describe_judgement(judged, CLASSES)
    assert "none of the classes" in describe_judgement(judged, ("a", "b", "c"))


def test_odd_files(tmp_path):
    path = tmp_path / "halves.png"
    image = Image.new("RGB", (64, 64), "red")
    image.paste("blue", (0, 32, 64, 64))
    image.save(path)
    classifier, backbone = make_classifier(), Colour()
    backbone.fc = nn.Identity()
    answers = {}
    for name, file in make_odd_files(path).items():
        try:
            judged = judge_photo(classifier, backbone, torch.eye(2).repeat(5, 1), 9.0, file)
            answers[name] = judged.image.astype(int)
        except CourseError as error:
            answers[name] = str(error)
    for name in ("rotated.jpg", "cmyk.jpg", "moving.gif"):
        top, bottom = answers[name][4, 16], answers[name][-4, 16]
        assert top[0] > 180 > 90 > top[2] and bottom[2] > 180 > 90 > bottom[0], name
    for name in ("huge.png", "cut.jpg", "letter.jpg"):
        assert answers[name].startswith(name) and answers[name].count("\n") == 0


def test_safetensors_carry_everything(tmp_path, monkeypatch):
    classifier = make_classifier()
    monkeypatch.setattr(exports_module, "build_network", lambda name, classes: Colour(classes))
    path = tmp_path / "model.safetensors"
    save_safetensors(path, classifier)
    again = load_safetensors(path)
    assert again.classes == CLASSES and again.preprocessing == SMALL and again.temperature == 2.0
    images = torch.randn(3, 3, 32, 32)
    assert torch.equal(again.model(images), classifier.model(images))
    assert not again.model.training
    for data in (path.read_bytes()[:100], b"", b"nonsense" * 100):
        path.write_bytes(data)
        with pytest.raises(CourseError, match="export it again"):
            load_safetensors(path)


@pytest.mark.parametrize("name", ["custom_cnn", "efficientnet_lite0", "resnet101"])
def test_network_is_built_from_its_name(name):
    with torch.device("meta"):
        model = exports_module.build_network(name, 3)
    assert list(model.state_dict().values())[-1].shape == (3,)


@pytest.mark.slow
def test_onnx_says_the_same_for_every_batch(tmp_path):
    import onnxruntime

    classifier = make_classifier()
    path = tmp_path / "model.onnx"
    export_onnx(path, classifier)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 2, 5):
        images = torch.randn(count, 3, 32, 32)
        with torch.inference_mode():
            expected = classifier.model(images).numpy()
        (given,) = session.run(None, {"images": images.numpy()})
        assert np.abs(given - expected).max() < 1e-4
    described = session.get_modelmeta().custom_metadata_map
    assert described["classes"] == '["blue", "red"]' and "preprocessing" in described


def test_model_card(settings):
    run, dataset = save(settings, "frozen", make_head())
    card = format_model_card(run, dataset, make_classifier(), ["Measured."], ["Limited."])
    assert card.startswith("# Model card: blue, red\n")
    for text in ("100.0 % (95 % interval 67.6–100.0 %, 8 of 8)", "Measured.", "Limited.", "drawn",
                 "8 to train on", "40 pixels", "2.000"):  # fmt: skip
        assert text in card, text
    assert find_run(settings, "frozen").classes == list(CLASSES)


def run_main(capsys, *arguments) -> tuple[int, list[str], list[str]]:
    code = predict.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err.splitlines()


@pytest.fixture
def with_settings(settings, monkeypatch):
    monkeypatch.setattr("utils.settings.load_settings", lambda: settings)
    return settings


def test_command_line_on_files_and_folders(with_settings, tmp_path, capsys):
    save(with_settings, "frozen", make_head())
    files = [make_file(tmp_path / "blue", f"{k}.png", "blue") for k in range(3)]
    files += [
        make_file(tmp_path / "red", "0.png", "red"),
        make_file(tmp_path / "red", "1.png", "blue"),
    ]
    (tmp_path / "red" / "broken.jpg").write_bytes(b"no picture at all")
    (tmp_path / "red" / "notes.txt").write_text("passed over")
    (tmp_path / ".hidden").mkdir()
    make_file(tmp_path / ".hidden", "x.png", "red")
    code, out, err = run_main(capsys, tmp_path)
    assert code == 0 and len(out) == 6 and len(err) == 1 and "broken.jpg" in err[0]
    assert out[0].split()[-3:-1] == ["blue", "100.0"]
    assert out[-1].startswith("Accuracy") and "80.0 %" in out[-1] and "4 of 5" in out[-1]
    code, out, err = run_main(capsys, files[0], tmp_path / "gone.png")
    assert code == 0 and len(out) == 1 and err == [f"{tmp_path / 'gone.png'} does not exist."]


def test_command_line_where_nothing_can_be_said(with_settings, tmp_path, capsys):
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    (tmp_path / "empty").mkdir()
    picture = make_file(tmp_path, "a.png", "red")
    code, out, err = run_main(capsys, picture)
    assert (code, out, len(err)) == (1, [], 1) and "run notebook 03" in err[0]
    code, out, err = run_main(capsys, picture, "--run", "unfrozen")
    assert (code, out, len(err)) == (1, [], 1) and "no run 'unfrozen'" in err[0]
    save(with_settings, "frozen", make_head())
    code, out, err = run_main(capsys, text)
    assert (code, out, len(err)) == (1, [], 1) and str(text) in err[0]
    code, out, err = run_main(capsys, tmp_path / "empty")
    assert (code, out, err) == (1, [], [f"{tmp_path / 'empty'} has no pictures in it."])


def test_command_line_starts_without_pytorch():
    assert predict.RUNS == (*RUN_NAMES, "distributed")
    code = "import sys, utils.predict; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
