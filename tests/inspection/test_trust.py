"""Calibration, temperature, doubtful labels, maps and strange images as notebook 08 types them."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as TF
from typed import load_typed

NOTEBOOK = "08_can_you_trust_it"
NAMES = {"np": np, "torch": torch, "F": F}
TEMPERATURES = {"temperatures": torch.logspace(-2, 1, 301)}


def test_the_calibration_error_is_the_mean_gap() -> None:
    measure = load_typed(NOTEBOOK, "measure_calibration_error", NAMES)
    confidence = np.repeat([0.6, 1.0], 50)
    assert measure(confidence, np.tile([1, 1, 1, 1, 0], 20)) == pytest.approx(0.2)
    assert measure(np.array([0.9, 0.7]), np.array([True, True])) == pytest.approx(0.2)  # two bins


def test_chance_explains_less_with_more_images() -> None:
    names = NAMES | {
        "measure_calibration_error": load_typed(NOTEBOOK, "measure_calibration_error", NAMES)
    }
    simulate = load_typed(NOTEBOOK, "simulate_chance", names)
    few, many = (simulate(np.full(count, 0.8)) for count in (50, 2000))
    assert 0 < many < few / 3


def test_the_temperature_is_found_and_held_where_everything_is_right() -> None:
    names = NAMES | TEMPERATURES
    names["measure_losses"] = load_typed(NOTEBOOK, "measure_losses", names)
    fit = load_typed(NOTEBOOK, "fit_temperature", names)
    torch.manual_seed(0)
    logits = 2 * torch.randn(3000, 2)
    labels = logits.softmax(dim=1).multinomial(1)[:, 0]
    assert fit(3 * logits, labels) == pytest.approx(3, rel=0.1)
    right = logits.argmax(dim=1)
    assert fit(logits[:50], right[:50], 0) < 0.02 < fit(logits[:50], right[:50])


def test_a_label_is_doubtful_by_the_threshold_of_the_other_class() -> None:
    find = load_typed(NOTEBOOK, "find_doubtful", NAMES)
    first = np.array([0.9, 0.9, 0.6, 0.1, 0.2, 0.45, 0.8])
    labels = np.array([0, 0, 0, 1, 1, 1, 1])  # the last one looks like a 0
    doubtful, likely, thresholds = find(np.column_stack([first, 1 - first]), labels)
    assert thresholds == pytest.approx([0.8, 0.6125])
    assert doubtful.nonzero()[0].tolist() == [6] and likely[6] == 0


def test_auroc_counts_pairs_and_half_of_the_ties() -> None:
    measure = load_typed(NOTEBOOK, "measure_auroc", NAMES)
    ordinary, strange = torch.randint(9, (40,)).float(), torch.randint(12, (30,)).float()
    labels = [0] * 40 + [1] * 30
    expected = roc_auc_score(labels, torch.cat([ordinary, strange]))
    assert measure(ordinary, strange) == pytest.approx(expected)


def test_shuffling_keeps_numbers_and_tiles() -> None:
    torch.manual_seed(0)
    layer, names = nn.Linear(6, 4), NAMES | {"spearmanr": None}
    before = layer.weight.detach().clone()
    load_typed(NOTEBOOK, "shuffle_weights", names)([layer])
    assert not torch.equal(layer.weight, before)
    assert torch.equal(layer.weight.flatten().sort().values, before.flatten().sort().values)
    image = torch.rand(3, 224, 224)
    shuffled = load_typed(NOTEBOOK, "shuffle_tiles", NAMES)(image)
    assert shuffled.shape == image.shape and not torch.equal(shuffled, image)
    assert torch.equal(shuffled.flatten().sort().values, image.flatten().sort().values)
    corners = {image[0, y, x].item() for y in range(0, 224, 56) for x in range(0, 224, 56)}
    assert {
        shuffled[0, y, x].item() for y in range(0, 224, 56) for x in range(0, 224, 56)
    } == corners


def test_damage_stays_in_range_and_grows() -> None:
    kinds = "noise blur JPEG darkness small".split()
    functions = "add_noise blur compress darken shrink".split()
    image = torch.linspace(0, 1, 224).expand(1, 3, 224, 224).roll(60, 3).contiguous()
    for kind, name, levels in zip(
        kinds, functions, ((0.1, 0.6), (2, 10), (30, 3), (0.5, 0.95), (64, 16)), strict=True
    ):
        change = load_typed(NOTEBOOK, name, NAMES | {"TF": TF})
        mild, severe = ((change(image, level) - image).abs().mean().item() for level in levels)
        assert 0 < mild < severe, kind
