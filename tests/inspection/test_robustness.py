"""Pictures made worse, and pictures that are strangers."""

import numpy as np
import pytest
import torch
from torch import nn

from utils.data import Split
from utils.novelty import draw_strangers, find_threshold, measure_distances
from utils.pictures import Pictures
from utils.robustness import CORRUPTIONS, measure_robustness, occlude, rotate, trace_curves
from utils.runs import find_interval
from utils.training import Plan
from utils.weights import Preprocessing

HALF = (0.5, 0.5, 0.5)
PLAN = Plan(0, Preprocessing(40, 32, "bilinear", HALF, HALF))


def make_images(count: int = 4) -> torch.Tensor:
    """Smooth pictures, uint8 [count, 3, 40, 40]."""
    torch.manual_seed(0)
    return nn.functional.interpolate(255 * torch.rand(count, 3, 5, 5), 40, mode="bilinear").byte()


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_level_is_further_from_the_picture(kind):
    images = make_images()
    before = images.clone()
    corruption = CORRUPTIONS[kind]
    changes = []
    for level in corruption.levels:
        worse = corruption.apply(images, level)
        assert worse.shape == images.shape and worse.dtype == torch.uint8
        assert torch.equal(worse, corruption.apply(images, level))  # every network sees the same
        changes.append((worse.float() - images.float()).abs().mean().item())
    assert torch.equal(images, before)
    assert changes[0] > 0.5
    if kind != "rotation":  # half a turn may be nearer than a quarter
        assert changes == sorted(changes)


def test_half_a_turn():
    images = make_images()
    turned = rotate(images, 180).int()
    assert (turned - images.flip(-1, -2).int()).abs().max() <= 1


def test_covered_area():
    covered = (occlude(torch.zeros(1, 3, 100, 100).byte(), 0.25) > 0).float().mean().item()
    assert covered == pytest.approx(0.25, abs=0.01)


class Brightness(nn.Module):
    """Class 1 for bright pictures: darkness fools it, and nothing else does."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        light = images.mean(dim=(1, 2, 3))
        return torch.stack([-light, light], dim=1)


def test_counts_by_kind_network_and_level():
    array = np.zeros((10, 40, 40, 3), np.uint8)
    array[5:] = 200
    labels = np.repeat([0, 1], 5)
    split = Split("test", tuple(map(str, range(10))), labels, ("dark", "bright"))
    rows = [0, 1, 2, 3, 5, 6, 7, 8]
    correct = measure_robustness({"b": Brightness()}, Pictures(split, array, "k"), rows, PLAN)
    assert list(correct) == list(CORRUPTIONS)
    assert correct["darkness"]["b"] == [8, 4, 4, 4]
    assert correct["JPEG"]["b"] == correct["rotation"]["b"] == [8, 8, 8, 8]
    levels, middle, low, high = trace_curves(correct, 8)["darkness"]["b"]
    assert levels == ["as is", "0.5", "0.8", "0.95"] and middle == [1.0, 0.5, 0.5, 0.5]
    assert (low[1], high[1]) == find_interval(4, 8)


def test_distance_is_to_the_fifth_neighbour_and_ignores_length():
    angles = torch.deg2rad(torch.tensor([0.0, 10, 20, 30, 40, 90]))
    training = torch.stack([angles.cos(), angles.sin()], dim=1)
    distances = measure_distances(torch.tensor([[7.0, 0.0]]), training)
    assert distances.item() == pytest.approx(2 * np.sin(np.deg2rad(20)), abs=1e-5)
    assert measure_distances(training[:1], training[:2]).item() > 0  # fewer than five rows


def test_threshold_and_its_false_alarms():
    distances = torch.arange(100).float()
    threshold = find_threshold(distances)
    assert (distances > threshold).sum() in (4, 5)
    assert find_threshold(torch.tensor([0.5, 0.7])) == pytest.approx(0.7)


def test_strangers_lie_beyond_the_threshold():
    torch.manual_seed(0)
    centre = torch.randn(64)
    known = centre + torch.randn(300, 64)
    threshold = find_threshold(measure_distances(known[200:], known[:200]))
    fresh, strange = centre + torch.randn(200, 64), torch.randn(200, 64) * 1.4
    assert (measure_distances(fresh, known[:200]) > threshold).float().mean() < 0.15
    assert (measure_distances(strange, known[:200]) > threshold).float().mean() > 0.95


def test_drawn_strangers_differ_and_repeat():
    strangers = draw_strangers(8, 64)
    assert strangers.shape == (8, 64, 64, 3) and strangers.dtype == np.uint8
    assert len({picture.tobytes() for picture in strangers}) == 8
    assert np.array_equal(strangers, draw_strangers(8, 64))
