"""Features on disk, and heads trained on them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small import make_loader, make_small_network
from torch import nn
from torch.utils.data import TensorDataset

from utils import features as features_room
from utils.features import (
    extract_features,
    fit_head,
    load_features,
    read_features,
    select_per_class,
)
from utils.settings import load_settings


def make_features(count: int = 60, apart: float = 6.0) -> TensorDataset:
    """Five numbers per image, of which the third tells the classes apart."""
    torch.manual_seed(0)
    labels = torch.arange(count) % 2
    values = torch.randn(count, 5)
    values[:, 2] += apart * labels
    return TensorDataset(values, labels)


class Body(nn.Module):
    """A backbone small enough for a test: four features, `fc` on them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(4, 1000)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(images))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list:
    """The real backbone's place is taken by a small one that notes when it is built."""
    built = []
    monkeypatch.setattr(features_room, "load_backbone", lambda s: built.append(s) or Body())
    return built


@pytest.fixture
def settings(noise: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COURSE_DATA", str(noise))
    return replace(load_settings("sample"), precision="float32")


def test_features_are_what_the_head_would_get_in_order() -> None:
    model = make_small_network().train()
    loader = make_loader(shuffle=False)
    model.fc = nn.Identity()
    features, labels = extract_features(model, loader).tensors
    assert features.shape == (20, 8) and torch.equal(labels, loader.dataset.tensors[1])
    assert torch.allclose(features, model(loader.dataset.tensors[0]), atol=1e-6)
    nn.Linear(8, 2)(features).sum().backward()  # a head can be trained on them


def test_features_are_computed_once_and_found_again(settings, calls) -> None:
    first = load_features(settings, "train")
    assert len(calls) == 1 and first.tensors[0].shape[1] == 4
    second = load_features(settings, "train")
    assert len(calls) == 1
    assert all(torch.equal(*pair) for pair in zip(first.tensors, second.tensors, strict=True))
    load_features(settings, "test")
    assert len(calls) == 2


def test_a_class_reads_the_features_that_somebody_shares(settings, calls, tmp_path) -> None:
    load_features(settings, "train")
    mine = replace(settings, home=tmp_path / "mine", shared=settings.home)
    load_features(mine, "train")
    assert len(calls) == 1 and not list((tmp_path / "mine").rglob("*.npz"))


def test_other_numbers_have_a_file_of_their_own(
    settings, calls, noise, tmp_path, monkeypatch
) -> None:
    load_features(settings, "test")
    load_features(replace(settings, precision="bfloat16"), "test")
    others = shutil.copytree(noise, tmp_path / "others")
    for path in others.rglob("*.png"):
        Image.new("RGB", (64, 64)).save(path)
    load_features(replace(settings, data=str(others)), "test")
    (tmp_path / "weights").write_bytes(b"others")
    monkeypatch.setattr(features_room, "download_weights", lambda s: tmp_path / "weights")
    load_features(settings, "test")
    assert len(calls) == 4


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", None])
def test_damaged_features_are_computed_again(settings, calls, content: bytes | None) -> None:
    whole = load_features(settings, "train")
    (file,) = settings.home.rglob("*.npz")
    file.write_bytes(file.read_bytes()[:-100] if content is None else content)
    again = load_features(settings, "train")
    assert len(calls) == 2 and torch.equal(whole.tensors[0], again.tensors[0])


@given(
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_mutated_features_are_whole_or_none(tmp_path_factory, changes) -> None:
    file = tmp_path_factory.mktemp("mutated") / "features.npz"
    values, labels = (tensor.numpy() for tensor in make_features().tensors)
    np.savez(file, features=values, labels=labels)
    content = bytearray(file.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    file.write_bytes(content)
    found = read_features(file, len(labels))
    if found is not None:
        assert np.array_equal(found.tensors[0].numpy(), values)


def test_the_best_head_separates_and_is_the_optimum() -> None:
    features = make_features(apart=2.0)
    head = fit_head(features, weight_decay=0.01)
    values, labels = features.tensors
    loss = nn.functional.cross_entropy(head(values), labels)
    loss = loss + 0.01 / 2 * head.weight.square().sum()
    gradients = torch.autograd.grad(loss, list(head.parameters()))
    assert max(gradient.abs().max() for gradient in gradients) < 1e-3
    assert (head(values).argmax(dim=1) == labels).float().mean() > 0.8


def test_few_images_are_a_subset_of_more() -> None:
    labels = torch.tensor([0] * 30 + [1] * 5)
    few, more = (select_per_class(labels, count, seed=3) for count in (3, 10))
    assert labels[few].bincount().tolist() == [3, 3]
    assert labels[more].bincount().tolist() == [10, 5]  # a class with fewer gives all it has
    assert set(few.tolist()) <= set(more.tolist())
    assert not torch.equal(few, select_per_class(labels, 3, seed=4))
