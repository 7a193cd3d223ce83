"""Confusions, ROC, mistakes, Grad-CAM and what randomising does to it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, roc_auc_score
from torch import nn

from utils.data import Split
from utils.explain import (
    compare_maps,
    compute_grad_cam,
    find_map_layer,
    list_stages,
    overlay_map,
    randomize_from_head,
)
from utils.mistakes import count_confusions, rank_mistakes, trace_roc
from utils.models import CustomCNN, freeze
from utils.pictures import Pictures
from utils.training import Evaluation, Plan, evaluate
from utils.weights import Preprocessing


def make_evaluation(classes: int, count: int = 200) -> Evaluation:
    torch.manual_seed(classes)
    labels = torch.arange(count) % classes
    logits = torch.randn(count, classes)
    logits[torch.arange(count), labels] += 1.0
    return Evaluation((logits * 2).round() / 2, labels)  # rounded: with ties


class Pointer(nn.Module):
    """Two classes, each a brighter channel; one convolution of 1×1, and the mean over places."""

    def __init__(self) -> None:
        super().__init__()
        self.bn2 = nn.Conv2d(3, 2, 1, bias=False)  # where find_map_layer looks
        self.fc = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.bn2.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).view(2, 3, 1, 1))
            self.fc.weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.bn2(images).mean(dim=(2, 3)))


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_confusions_and_areas_are_those_of_scikit_learn(classes):
    evaluation = make_evaluation(classes)
    said = evaluation.logits.argmax(dim=1)
    assert np.array_equal(count_confusions(evaluation), confusion_matrix(evaluation.labels, said))
    probabilities = evaluation.logits.double().softmax(dim=1).numpy().round(12)
    for label in range(classes):
        false, true, area = trace_roc(evaluation, label)
        expected = roc_auc_score((evaluation.labels == label).numpy(), probabilities[:, label])
        assert area == pytest.approx(expected, abs=1e-6)
        assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
        assert (np.diff(false) >= 0).all() and (np.diff(true) >= 0).all()


def test_order_of_very_sure_answers_is_kept():
    """Probabilities that round to 1 in float32 are no ties."""
    logits = torch.tensor([[0.0, 60.0], [0.0, 50.0], [0.0, 40.0], [0.0, 30.0]])
    assert trace_roc(Evaluation(logits, torch.tensor([1, 1, 0, 0])), 1)[2] == 1.0


def test_mistakes_come_in_order():
    logits = torch.tensor([[2.0, 0.0], [9.0, 0.0], [0.0, 1.0], [0.0, 5.0]])
    assert rank_mistakes(Evaluation(logits, torch.tensor([1, 1, 1, 0]))) == [1, 3, 0]
    assert rank_mistakes(Evaluation(logits, torch.tensor([0, 0, 1, 1]))) == []


def test_map_shows_the_place_and_the_sign():
    model = Pointer()
    freeze(model)
    images = torch.zeros(2, 3, 8, 8)
    images[0, 0, :4, :4] = 1  # class 0 top left, class 1 bottom right
    images[0, 1, 4:, 4:] = 1
    images[1, 0, 4:, :4] = 1
    maps = compute_grad_cam(model, images, torch.tensor([0, 0]))
    assert maps.shape == (2, 8, 8) and not maps.requires_grad
    assert (maps[0, :4, :4] > 0).all() and (maps[0, 4:, 4:] < 0).all()
    assert (maps[1, 4:, :4] > 0).all() and maps[1, :4].abs().max() == 0
    other = compute_grad_cam(model, images[:1], 1)
    assert torch.allclose(other[0], -maps[0])
    assert not images.requires_grad


def test_targets_from_inference_mode(recwarn):
    with torch.inference_mode():
        targets = torch.tensor([0, 1])
    compute_grad_cam(Pointer(), torch.rand(2, 3, 8, 8), targets)
    assert not [warning for warning in recwarn if "grad" in str(warning.message)]


def test_the_layer_before_places_are_lost():
    model = CustomCNN(3)
    assert find_map_layer(model) is model.conv3
    assert compute_grad_cam(model, torch.randn(1, 3, 224, 224), 2).shape == (1, 52, 52)
    assert list(list_stages(model)) == ["conv1", "conv2", "conv3", "hidden", "output"]


def test_randomising_goes_from_the_head_to_the_pixels():
    model = CustomCNN(2)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    changed = []
    for name in randomize_from_head(model):
        changed.append(name)
        now = dict(model.named_parameters())
        moved = {key.split(".")[0] for key in now if not torch.equal(now[key], before[key])}
        assert moved == set(changed)
        key = f"{name}.weight"
        assert now[key].std().item() == pytest.approx(before[key].std().item(), rel=0.2)
    assert changed == ["output", "hidden", "conv3", "conv2", "conv1"]


def test_similarity_of_maps():
    torch.manual_seed(0)
    maps = torch.randn(3, 7, 7)
    assert compare_maps(maps, maps) == pytest.approx([1, 1, 1])
    assert compare_maps(maps, maps.exp()) == pytest.approx([1, 1, 1])  # the order counts
    assert compare_maps(maps, -maps) == pytest.approx([-1, -1, -1])
    assert compare_maps(maps, torch.zeros(3, 7, 7)) == pytest.approx([0, 0, 0])
    assert abs(compare_maps(torch.randn(50, 7, 7), torch.randn(50, 7, 7)).mean()) < 0.1


def test_overlay_is_brighter_where_the_map_is():
    image = np.full((64, 64, 3), 100, np.uint8)
    heat = torch.zeros(8, 8)
    heat[:4], heat[4:] = 1.0, -1.0
    lit = overlay_map(image, heat)
    assert lit.shape == image.shape and lit.dtype == np.uint8
    assert lit[:24].min() > 100 > lit[40:].max()
    assert overlay_map(image, torch.zeros(8, 8)).max() < 100


def test_network_can_be_explained_and_trained_after_it_was_evaluated():
    """Weights that are moved to another memory layout in inference mode never get gradients."""
    array = np.zeros((2, 240, 240, 3), np.uint8)
    split = Split("test", (Path("0.png"), Path("1.png")), np.array([0, 1]), ("cats", "dogs"))
    plan = Plan(
        0, Preprocessing(240, 224, "bilinear", (0.5,) * 3, (0.5,) * 3), precision="bfloat16"
    )
    model = CustomCNN(2)
    evaluation = evaluate(model, Pictures(split, array, "key"), plan)
    compute_grad_cam(model, torch.randn(2, 3, 224, 224), evaluation.logits.argmax(dim=1))
    assert not any(weight.is_inference() for weight in model.parameters())
