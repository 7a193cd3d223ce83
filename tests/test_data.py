"""Transforms, splits and loaders; decoding once."""

import ast
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, RandomSampler, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from typed import list_spine

from utils.data import (
    DecodedOnce,
    denormalize,
    fingerprint,
    list_files,
    make_loaders,
    make_transforms,
    split_rows,
)
from utils.settings import ROOT, CourseError, load_settings

TYPED = ("to_tensor", "train_transform", "test_transform")  # in notebook 01


@pytest.fixture
def settings(noise: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COURSE_DATA", str(noise))
    return load_settings("sample")


def test_loaders_give_what_a_network_wants(settings) -> None:
    loaders = make_loaders(settings)
    assert loaders.class_names == ["cats", "dogs"]
    images, labels = next(iter(loaders.train))
    assert images.shape == (32, 3, 224, 224) and images.dtype == torch.float32
    assert labels.shape == (32,) and labels.dtype == torch.int64
    assert -1 <= images.min() < images.max() <= 1
    assert (len(loaders.train.dataset), len(loaders.validation.dataset)) == (57, 25)
    assert len(loaders.test.dataset) == 7
    assert isinstance(loaders.train.sampler, RandomSampler)


def test_the_transforms_are_those_that_notebook_01_types(settings) -> None:
    names = {"v2": v2, "torch": torch, "settings": settings}
    for source in list_spine(ROOT / "notebooks" / "01_data_and_augmentation.ipynb"):
        tree = ast.parse(source)
        tree.body = [
            node
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in TYPED
        ]
        exec(compile(tree, "notebook 01", "exec"), names)
    assert str(make_transforms(settings)) == str((names[TYPED[1]], names[TYPED[2]]))


def test_the_split_is_stratified_seeded_and_without_overlap(settings) -> None:
    first, second = make_loaders(settings), make_loaders(settings)
    train, labels = list_files(first.train.dataset)
    validation, others = list_files(first.validation.dataset)
    assert not set(train) & set(validation) and len(train) + len(validation) == 82
    assert abs(np.bincount(labels)[0] - np.bincount(labels)[1]) <= 1
    assert abs(np.bincount(others)[0] - np.bincount(others)[1]) <= 1
    assert list_files(second.validation.dataset)[0] == validation


def test_files_and_labels_are_those_of_the_samples(settings) -> None:
    """Notebooks write other labels into `samples`, and fewer files; `targets` stays as it was."""
    images = make_loaders(settings).test.dataset
    images.samples = [(path, 1 - label) for path, label in images.samples[:3]]
    paths, labels = list_files(images)
    assert list(zip(map(str, paths), labels, strict=True)) == images.samples
    assert images.targets[:3] == [1 - label for label in labels]


def test_validation_and_test_get_no_random_changes(settings) -> None:
    loaders = make_loaders(settings)
    for loader in (loaders.validation, loaders.test):
        assert torch.equal(next(iter(loader))[0], next(iter(loader))[0])
    same = loaders.train.dataset
    assert not torch.equal(same[0][0], same[0][0])
    plain = make_loaders(settings, augment=False).train.dataset
    assert torch.equal(plain[0][0], plain[0][0])


def test_normalising_is_undone(settings) -> None:
    for backbone in ("efficientnet_lite0", "resnet101"):
        chosen = replace(settings, backbone=backbone)
        _, transform = make_transforms(chosen)
        image = Image.new("RGB", (256, 256), (255, 128, 0))
        colours = denormalize(transform(image), chosen)[:, 100, 100]
        assert colours.tolist() == pytest.approx([1, 128 / 255, 0], abs=1e-5)


def test_a_class_too_small_to_split_is_named(tmp_path: Path) -> None:
    for name, count in (("cats", 1), ("dogs", 5)):
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{number}.png")
    with pytest.raises(CourseError, match="smallest class has 1"):
        split_rows(ImageFolder(tmp_path), 0.3)


def test_fingerprint_changes_with_images_and_not_with_their_place(tmp_path: Path) -> None:
    def make(folder: Path, colour: int = 0) -> ImageFolder:
        for name in ("cats", "dogs"):
            (folder / "train" / name).mkdir(parents=True)
            for number in range(3):
                pixels = np.full((8, 8, 3), colour, np.uint8)
                pixels[:number] += 9  # files of other sizes
                Image.fromarray(pixels).save(folder / "train" / name / f"{number}.png")
        return ImageFolder(folder / "train")

    first, moved = make(tmp_path / "a"), make(tmp_path / "b")
    assert fingerprint(first) == fingerprint(moved)
    assert fingerprint(Subset(first, [0, 1])) != fingerprint(first)
    assert fingerprint(Subset(first, [0, 1])) != fingerprint(Subset(first, [1, 0]))
    Image.new("RGB", (80, 80), "red").save(tmp_path / "b" / "train" / "cats" / "0.png")
    assert fingerprint(first) != fingerprint(ImageFolder(tmp_path / "b" / "train"))


def test_decoded_once_gives_the_same_images_and_reads_no_file_again(settings, tmp_path) -> None:
    folder = make_loaders(settings).test.dataset
    _, transform = make_transforms(settings)
    plain = ImageFolder(folder.root, transform)
    once = DecodedOnce(plain, tmp_path / "decoded.uint8", size=256)
    assert once.classes == plain.classes and once.targets == plain.targets
    (images, labels), (others, same) = (next(iter(DataLoader(d, 7))) for d in (plain, once))
    assert torch.equal(labels, same)
    assert (images - others).abs().mean() < 0.02  # resized once instead of twice rounded
    before = (tmp_path / "decoded.uint8").stat().st_mtime_ns
    again = DecodedOnce(plain, tmp_path / "decoded.uint8", size=256)
    assert torch.equal(again[3][0], once[3][0])
    assert len(pickle.dumps(once)) < 20_000  # what a worker is sent: not the pixels
    assert (tmp_path / "decoded.uint8").stat().st_mtime_ns == before
    smaller = DecodedOnce(plain, tmp_path / "decoded.uint8", size=64)
    assert smaller.images.shape == (7, 64, 64, 3)
    assert smaller[0][0].shape == once[0][0].shape  # whoever has read the file keeps its pixels


def test_an_interrupted_decoding_leaves_nothing_half_done(settings, tmp_path, monkeypatch) -> None:
    from utils import data

    folder = make_loaders(settings).test.dataset
    real, seen = data.read_image, []

    def interrupt(file):
        seen.append(file)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return real(file)

    monkeypatch.setattr(data, "read_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        DecodedOnce(folder, tmp_path / "decoded.uint8")
    assert not list(tmp_path.glob("decoded*"))
    monkeypatch.setattr(data, "read_image", real)
    assert len(DecodedOnce(folder, tmp_path / "decoded.uint8")) == 7
