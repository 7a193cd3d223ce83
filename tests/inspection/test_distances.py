"""Distances in feature space as notebook 05 types them."""

import pytest
import torch
from torch.nn import functional as F
from typed import load_typed

measure_distances = load_typed(
    "05_inspect_and_predict", "measure_distances", {"torch": torch, "F": F}
)


def test_directions_count_and_the_fifth_nearest_is_asked() -> None:
    training = torch.eye(8)[:5].repeat_interleave(1, 0)
    distances = measure_distances(torch.tensor([[9.0] + [0] * 7]), training)
    assert distances.item() == pytest.approx(2**0.5)  # four lie at a right angle
    same = measure_distances(torch.eye(8)[:1] * 100, torch.eye(8)[:1].repeat(5, 1))
    assert same.item() == pytest.approx(0, abs=1e-3)


def test_fewer_training_images_than_neighbours() -> None:
    assert measure_distances(torch.ones(2, 3), torch.ones(2, 3)).shape == (2,)
