"""Features on disk, and heads trained on them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from utils import features as features_module
from utils.data import Split
from utils.features import (
    Features,
    compute_features,
    evaluate_head,
    extract_features,
    fit_head,
    train_head,
)
from utils.pictures import Pictures
from utils.settings import load_settings
from utils.weights import Preprocessing

HALF = (0.5, 0.5, 0.5)
SMALL = Preprocessing(72, 64, "bilinear", HALF, HALF)


def make_pictures(key: str = "key", count: int = 6) -> Pictures:
    array = np.random.default_rng(0).integers(0, 256, (count, 72, 72, 3)).astype(np.uint8)
    paths = tuple(Path(f"{row}.png") for row in range(count))
    return Pictures(Split("train", paths, np.arange(count) % 2, ("cats", "dogs")), array, key)


@pytest.fixture
def settings(tmp_path):
    return replace(load_settings("sample", home=str(tmp_path)), device="cpu", precision="float32")


@pytest.fixture
def count_calls(monkeypatch) -> list[str]:
    """The real backbone's place is taken by a small one that notes when it computes."""
    calls = []

    def compute(backbone, pictures, *arguments) -> np.ndarray:
        calls.append(pictures.key)
        return compute_features(backbone, pictures, *arguments)

    monkeypatch.setattr(features_module, "load_backbone", lambda name: make_backbone())
    monkeypatch.setattr(features_module, "compute_features", compute)
    return calls


def make_backbone() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.add_module("classifier", nn.Linear(4, 10))
    return model


def make_features(count: int = 60, apart: float = 6.0) -> Features:
    torch.manual_seed(0)
    labels = torch.arange(count) % 2
    values = torch.randn(count, 5)
    values[:, 2] += apart * labels
    return Features(values, labels, ("cats", "dogs"), "made", 6.0)


def test_features_of_the_real_backbone(settings):
    features = extract_features(settings, make_pictures(), SMALL)
    assert features.values.shape == (6, 1280) and features.values.dtype == torch.float32
    assert features.labels.tolist() == [0, 1, 0, 1, 0, 1] and features.seconds > 0
    assert torch.isfinite(features.values).all() and features.values.std() > 0


def test_features_are_found_again(settings, count_calls, monkeypatch):
    first = extract_features(settings, make_pictures(), SMALL)
    assert first.values.shape == (6, 4)

    def refuse(*arguments):
        raise AssertionError("computed again")

    monkeypatch.setattr(features_module, "compute_features", refuse)
    monkeypatch.setattr(features_module, "load_backbone", refuse)
    second = extract_features(settings, make_pictures(), SMALL)
    assert torch.equal(first.values, second.values)
    assert (first.key, first.seconds) == (second.key, second.seconds)


def test_everything_the_numbers_depend_on_has_its_own_key(settings, count_calls, monkeypatch):
    weights = settings.home / "resnet.pth"
    weights.parent.mkdir()
    weights.write_bytes(b"")
    real = features_module.fetch_weights
    monkeypatch.setattr(
        features_module, "fetch_weights", lambda name: weights if name[0] == "r" else real(name)
    )
    pictures = make_pictures()
    keys = [
        extract_features(settings, pictures, SMALL).key,
        extract_features(settings, make_pictures("other pictures"), SMALL).key,
        extract_features(settings, pictures, replace(SMALL, crop=60)).key,
        extract_features(settings, pictures, replace(SMALL, mean=(0.4, 0.5, 0.5))).key,
        extract_features(replace(settings, precision="bfloat16"), pictures, SMALL).key,
        extract_features(replace(settings, backbone="resnet101"), pictures, SMALL).key,
        extract_features(settings, pictures, SMALL, mirror=True).key,
    ]
    weights.write_bytes(b"other weights")
    keys.append(extract_features(replace(settings, backbone="resnet101"), pictures, SMALL).key)
    assert len(set(keys)) == len(count_calls) == 8


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "rows", "names"])
def test_damaged_file_is_computed_again(settings, count_calls, damage):
    first = extract_features(settings, make_pictures(), SMALL)
    [path] = (settings.home / "cache" / "features").iterdir()
    content = path.read_bytes()
    if damage == "rows":
        np.savez(path, values=np.zeros((5, 4), np.float32), seconds=1.0)
    elif damage == "names":
        np.savez(path, other=np.zeros(3))
    else:
        changed = {"truncated": content[:-40], "empty": b"", "text": b"no features"}
        path.write_bytes(changed[damage])
    again = extract_features(settings, make_pictures(), SMALL)
    assert torch.equal(first.values, again.values)
    assert len(count_calls) == 2
    extract_features(settings, make_pictures(), SMALL)
    assert len(count_calls) == 2  # mended on disk, too


def test_mirror_features_are_those_of_mirror_pictures(settings):
    pictures = make_pictures()
    mirrored = replace(pictures, array=pictures.array[:, :, ::-1].copy())
    body = make_backbone()
    ours = compute_features(body, pictures, SMALL, settings, mirror=True)
    assert np.allclose(ours, compute_features(body, mirrored, SMALL, settings), atol=1e-5)
    assert not np.allclose(ours, compute_features(body, pictures, SMALL, settings), atol=1e-5)


def test_best_head_separates_what_can_be_separated():
    features = make_features(apart=20)
    head = fit_head(features)
    assert evaluate_head(head, features).accuracy == 1.0
    assert torch.isfinite(head.weight).all() and not head.weight.requires_grad


def test_best_head_does_not_depend_on_where_it_starts():
    features = make_features(apart=2)
    first, second = (fit_head(features, seed, weight_decay=0.01) for seed in (0, 1))
    ours, theirs = (evaluate_head(head, features).logits.softmax(1) for head in (first, second))
    assert torch.allclose(ours, theirs, atol=1e-3)


def test_trained_head_is_the_same_for_the_same_seed():
    features = make_features()
    torch.manual_seed(99)
    first = train_head(features, epochs=3, seed=1)
    second = train_head(features, epochs=3, seed=1)
    other = train_head(features, epochs=3, seed=2)
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)
    assert not torch.equal(first.weight, other.weight)


def test_trained_head_learns():
    features = make_features(apart=20)
    head = train_head(features, epochs=60, learning_rate=0.01)
    assert evaluate_head(head, features).accuracy == 1.0


def test_selection_keeps_order_and_shares_the_seconds():
    features = make_features()
    part = features.select([3, 0, 8])
    assert torch.equal(part.values, features.values[[3, 0, 8]])
    assert part.labels.tolist() == [1, 0, 0]
    assert part.seconds == pytest.approx(0.3)
    assert len(features.select(np.array([1]))) == 1
