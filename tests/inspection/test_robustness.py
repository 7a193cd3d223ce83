"""Images made worse, and images that are unlike all others."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from utils.claims import find_interval
from utils.inspection.novelty import find_threshold, load_strangers, measure_distances
from utils.inspection.robustness import (
    CORRUPTIONS,
    cover,
    find_breaking_level,
    measure_robustness,
    rotate,
)


def make_images(count: int = 4) -> torch.Tensor:
    """Smooth images, uint8 [count, 3, 40, 40]."""
    torch.manual_seed(0)
    return F.interpolate(255 * torch.rand(count, 3, 5, 5), 40, mode="bilinear").byte()


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_level_is_further_from_the_image(kind):
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
    covered = (cover(torch.zeros(1, 3, 100, 100).byte(), 0.25) > 0).float().mean().item()
    assert covered == pytest.approx(0.25, abs=0.01)


class Brightness(nn.Module):
    """Class 1 for bright images: darkness fools it, and nothing else does."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        light = images.mean(dim=(1, 2, 3))
        return torch.stack([-light, light], dim=1)


def test_accuracy_by_kind_network_and_level():
    images = torch.zeros(18, 3, 40, 40, dtype=torch.uint8)
    images[9:] = 200
    labels = torch.arange(18) // 9
    curves = measure_robustness(
        {"frozen": Brightness()}, images, labels, lambda some: some / 127.5 - 1
    )
    assert list(curves) == list(CORRUPTIONS)
    levels, accuracies, low, high = curves["darkness"]["frozen"]
    assert levels == ["as is", "0.5", "0.8", "0.95"] and accuracies == [1.0, 0.5, 0.5, 0.5]
    assert (low[1], high[1]) == find_interval(9, 18)
    assert find_breaking_level(curves["darkness"]["frozen"]) == "0.5"
    for kind in ("JPEG", "rotation"):
        assert curves[kind]["frozen"][1] == [1.0] * 4
        assert find_breaking_level(curves[kind]["frozen"]) is None


def test_distance_is_to_the_fifth_neighbour_and_ignores_length():
    angles = torch.deg2rad(torch.tensor([0.0, 10, 20, 30, 40, 90]))
    training = torch.stack([angles.cos(), angles.sin()], dim=1)
    distances = measure_distances(torch.tensor([[7.0, 0.0]]), training)
    assert distances.item() == pytest.approx(2 * np.sin(np.deg2rad(20)), abs=1e-5)
    assert measure_distances(training[:1], training[:2]).item() > 0  # fewer than five rows


def test_threshold_and_its_false_alarms():
    distances = torch.arange(100).float()
    assert (distances > find_threshold(distances)).sum() in (4, 5)
    assert find_threshold(torch.tensor([0.5, 0.7])) == pytest.approx(0.7)


def test_strange_features_lie_beyond_the_threshold():
    torch.manual_seed(0)
    centre = torch.randn(64)
    known = centre + torch.randn(300, 64)
    threshold = find_threshold(measure_distances(known[200:], known[:200]))
    fresh, strange = centre + torch.randn(200, 64), torch.randn(200, 64) * 1.4
    assert (measure_distances(fresh, known[:200]) > threshold).float().mean() < 0.15
    assert (measure_distances(strange, known[:200]) > threshold).float().mean() > 0.95


def test_strangers_are_colour_images():
    strangers = load_strangers()
    assert len(strangers) >= 6
    for image in strangers.values():
        assert image.dtype == np.uint8 and image.shape[2] == 3 and min(image.shape[:2]) >= 224
