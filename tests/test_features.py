"""Features on disk, and heads trained on them."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from utils import features as features_module
from utils.augmentation import crop_center
from utils.data import Split
from utils.features import (
    Features,
    compute_features,
    draw_per_class,
    evaluate_head,
    extract_features,
    fit_head,
    train_head,
)
from utils.models import freeze, replace_head
from utils.pictures import Pictures, decode_split
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


def test_features_of_a_changed_dataset_are_computed_again(settings, count_calls, tmp_path):
    """From files on: one picture replaced, and one more, each make a new table; no change none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [folder / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.new("RGB", (80, 80), (80 * number, 0, 0)).save(path)

    def extract(count: int) -> Features:
        split = Split("train", tuple(paths[:count]), np.arange(count) % 2, ("cats", "dogs"))
        pictures = decode_split(split, SMALL, settings.home)
        return extract_features(settings, pictures, SMALL)

    first = extract(2)
    assert extract(2).key == first.key and len(count_calls) == 1
    Image.new("RGB", (80, 80), (0, 250, 0)).save(paths[1])
    os.utime(paths[1], (1, 1))  # a date that differs on every file system
    changed = extract(2)
    assert len(count_calls) == 2 and not torch.equal(changed.values[1], first.values[1])
    assert torch.equal(changed.values[0], first.values[0])
    assert len(extract(3)) == 3 and len(count_calls) == 3


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


def test_best_head_is_the_best():
    """Where the loss with its weight decay is lowest, no step in any direction lowers it."""
    features = make_features(apart=2)
    best = fit_head(features, weight_decay=0.01)

    def compute_loss(head: nn.Linear) -> float:
        loss = nn.functional.cross_entropy(head(features.values), features.labels)
        return (loss + 0.005 * head.weight.square().sum()).item()

    lowest = compute_loss(best)
    for seed in range(20):
        torch.manual_seed(seed)
        other = fit_head(features, weight_decay=0.01)
        assert torch.equal(other.weight, best.weight)  # no randomness in it
        other.weight += 0.05 * torch.randn_like(other.weight)
        assert compute_loss(other) > lowest


def test_best_head_of_two_pictures_a_class_is_the_exact_one():
    """Few pictures leave the loss flat around its lowest point: who stops early is elsewhere."""
    torch.manual_seed(0)
    fading = torch.linspace(0, 5, 60).neg().exp()  # as real features: few directions matter,
    mix = torch.randn(60, 1280) / 8
    differing = 0
    for _ in range(10):
        labels = torch.arange(204) % 2
        inner = torch.randn(204, 60)
        inner[:, :3] += 1.2 * (2 * labels[:, None] - 1)
        values = torch.relu((inner * fading) @ mix + 0.1)  # and none is negative
        features = Features(values, labels, ("cats", "dogs"), "made", 1.0)
        exact = find_exact_head(values[:4].double(), labels[:4], weight_decay=1e-3)
        answers = fit_head(features.select(range(4)))(values[4:]).argmax(dim=1)
        differing += (answers != exact(values[4:].double()).argmax(dim=1)).sum().item()
    assert differing <= 1  # of 2,000; one may lie on the border


def find_exact_head(values: torch.Tensor, labels: torch.Tensor, weight_decay: float) -> nn.Linear:
    """The head of least loss in double precision, as far as that goes."""
    head = nn.Linear(values.shape[1], 2, dtype=torch.float64)
    optimizer = torch.optim.LBFGS(
        head.parameters(),
        max_iter=2000,
        tolerance_grad=1e-12,
        tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
    )

    def compute_loss() -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(values), labels)
        loss = loss + weight_decay / 2 * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(compute_loss)
    return head


def test_best_head_of_three_classes():
    torch.manual_seed(0)
    labels = torch.arange(90) % 3
    values = torch.randn(90, 6) + 8 * torch.eye(3, 6)[labels]
    features = Features(values, labels, ("cats", "dogs", "owls"), "made", 1.0)
    head = fit_head(features.select(range(45)))
    assert evaluate_head(head, features.select(range(45, 90))).accuracy > 0.95


def test_head_on_features_is_the_loop_through_the_frozen_network(settings, count_calls):
    """The course's central claim: with batch norm in eval mode both ways train the same head."""
    pictures = make_pictures(count=40)
    features = extract_features(settings, pictures, SMALL)
    model = make_backbone()
    freeze(model)
    torch.manual_seed(0)
    head = replace_head(model, 2)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.001)
    for _ in range(3):
        for rows in torch.randperm(40).split(32):
            images, labels = pictures.load(rows.tolist())
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(crop_center(images, SMALL)), labels).backward()
            optimizer.step()
    ours = train_head(features, epochs=3)
    assert torch.allclose(ours.weight, head.weight, atol=1e-5)
    assert torch.allclose(ours.bias, head.bias, atol=1e-5)
    assert not torch.allclose(train_head(features, epochs=2).weight, head.weight, atol=1e-5)


def test_draws_are_of_each_class_and_grow_by_adding():
    labels = torch.tensor([0] * 10 + [1] * 4 + [2] * 6)
    few, more = (draw_per_class(labels, count, seed=3) for count in (2, 5))
    assert labels[few].tolist() == [0, 0, 1, 1, 2, 2]
    assert labels[more].bincount().tolist() == [5, 4, 5]  # the second class has no more
    assert set(few.tolist()) < set(more.tolist()) and len(more.unique()) == 14
    assert not torch.equal(few, draw_per_class(labels, 2, seed=4))
    assert torch.equal(few, draw_per_class(labels, 2, seed=3))


def test_joined_features_are_both():
    features = make_features()
    both = features.join(features.select([0, 1, 2]))
    assert len(both) == 63 and both.classes == features.classes
    assert torch.equal(both.values[60:], features.values[:3])
    assert both.labels[60:].tolist() == [0, 1, 0] and both.seconds == pytest.approx(6.3)


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
