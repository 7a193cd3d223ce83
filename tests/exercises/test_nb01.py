"""Exercises of notebook 01: wrong answers with their hint, unusual right ones."""

import ast
import copy
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.model_selection import train_test_split
from solutions import NOT_TRIED, judge
from torch.utils.data import Subset, random_split
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from typed import list_spine

from utils.settings import ROOT

SMALL = {"rotate 10°", "brightness", "crop 10 % off"}
KEPT = {"dogs": SMALL | {"flip left-right"}, "digits": SMALL, "X-rays": SMALL}


@pytest.fixture
def room(tmp_path):
    """Twelve photos of cups and ten of shoes."""
    for name, count in (("cup", 12), ("shoe", 10)):
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{number}.jpg")
    return tmp_path


def test_no_photos_yet(room):
    assert NOT_TRIED in judge("1.5", (str(room), lambda folder: None))
    assert NOT_TRIED in judge("1.5", (str(room / "not there"), lambda folder: {"cup": 10}))
    assert NOT_TRIED in judge("1.5", (..., lambda folder: {"cup": 10}))


def measure_with_cat(batches):
    images = torch.cat(list(batches))
    return images.mean((0, 2, 3)).numpy(), images.std((0, 2, 3)).tolist()


def measure_with_weights(batches):
    """Welford's way of joining batches, with shapes that broadcast."""
    count, mean, squares = 0, torch.zeros(3, 1, 1), torch.zeros(3, 1, 1)
    for images in batches:
        size = images[:, 0].numel()
        own = images.mean((0, 2, 3), keepdim=True)[0]
        squares = squares + ((images - own) ** 2).sum((0, 2, 3), keepdim=True)[0]
        squares = squares + (own - mean) ** 2 * count * size / (count + size)
        mean = mean + (own - mean) * size / (count + size)
        count += size
    return [mean, (squares / count).sqrt()]


def split(images):
    rows = range(len(images))
    return train_test_split(rows, test_size=0.3, stratify=images.targets, random_state=0)


def make_sets_as_given(root, train_transform, test_transform):
    images = ImageFolder(root, train_transform)
    rows, other_rows = split(images)
    return Subset(images, rows), Subset(images, other_rows)


def make_sets_with_a_copy(root, train_transform, test_transform):
    images = ImageFolder(root, train_transform)
    train, held_out = random_split(images, [0.5, 0.5])
    held_out.dataset = copy.copy(images)
    held_out.dataset.transform = test_transform
    return [train, held_out]


def make_sets_with_a_list(root, train_transform, test_transform):
    images, plain = ImageFolder(root, train_transform), ImageFolder(root, test_transform)
    rows, other_rows = split(images)
    return Subset(images, rows), [plain[row] for row in other_rows]


def make_sets_without_augmentation(root, train_transform, test_transform):
    return make_sets_as_given(root, test_transform, test_transform)


def make_sets_by_changing_the_transform(root, train_transform, test_transform):
    train, held_out = make_sets_as_given(root, train_transform, test_transform)
    held_out.dataset.transform = test_transform  # the training images' as well
    return train, held_out


def make_sets_without_a_split(root, train_transform, test_transform):
    return ImageFolder(root, train_transform), ImageFolder(root, test_transform)


def make_sets_with_frozen_noise(root, train_transform, test_transform):
    train, held_out = make_sets_as_given(root, train_transform, test_transform)
    return train, list(held_out)


def make_sets_that_lose_images(root, train_transform, test_transform):
    train, _ = make_sets_as_given(root, train_transform, test_transform)
    plain = ImageFolder(root, test_transform)
    return train, Subset(plain, split(plain)[1][:3])


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("1.1", lambda x, m, s: v2.functional.normalize(x, (-m / s).tolist(), (1 / s).tolist())),
        ("1.1", lambda x, m, s: torch.stack([x[:, i] * s[i] + m[i] for i in range(3)], dim=1)),
        ("1.1", lambda x, m, s: x.mul_(s[:, None, None]).add_(m[:, None, None])),
        ("1.1", lambda x, m, s: x.numpy() * s.numpy()[:, None, None] + m.numpy()[:, None, None]),
        ("1.2", measure_with_cat),
        ("1.2", measure_with_weights),
        ("1.3", make_sets_with_a_copy),
        ("1.3", make_sets_with_a_list),
        ("1.4", {name: sorted(kept) for name, kept in KEPT.items()}),
        ("1.4", {name: tuple(kept) for name, kept in KEPT.items()}),
    ],
)
def test_unusual_right_answers(number, answer):
    assert judge(number, answer).endswith("✔ right.")


def count_with_counter(folder):
    images = ImageFolder(folder)
    return Counter(images.classes[label] for _, label in images)


def count_with_glob(folder):
    from pathlib import Path

    folders = sorted(Path(folder).iterdir(), reverse=True)
    return {each.name: np.int64(len(list(each.glob("*.jpg")))) for each in folders}


@pytest.mark.parametrize("count_images", [count_with_counter, count_with_glob])
def test_unusual_ways_to_count(room, count_images):
    assert judge("1.5", (room, count_images)).endswith("✔ right.")


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("1.1", lambda x, m, s: x * s.view(3, 1, 1) - m.view(3, 1, 1), "has to be added"),
        ("1.1", lambda x, m, s: (x + m.view(3, 1, 1)) * s.view(3, 1, 1), "undone first"),
        ("1.1", lambda x, m, s: (x - m.view(3, 1, 1)) / s.view(3, 1, 1), "undo both"),
        ("1.1", lambda x, m, s: x[0] * s.view(3, 1, 1) + m.view(3, 1, 1), "shape must stay"),
        (
            "1.2",
            lambda batches: tuple(
                torch.stack(each).mean(0)
                for each in zip(
                    *((b.mean((0, 2, 3)), b.std((0, 2, 3))) for b in batches), strict=True
                )
            ),
            "batch means",
        ),
        (
            "1.2",
            lambda b: (lambda x: (x.mean((0, 2, 3)), x.var((0, 2, 3))))(torch.cat(list(b))),
            "variance",
        ),
        ("1.2", lambda b: (lambda x: (x.mean(), x.std()))(torch.cat(list(b))), "per channel"),
        ("1.2", lambda b: torch.cat(list(b)).mean((0, 2, 3)), "two things"),
        ("1.2", lambda b: (torch.zeros(3), torch.ones(3)), "The mean is 0."),
        ("1.2", lambda b: (torch.cat(list(b)).mean((0, 2, 3)), torch.ones(3)), "squared mean"),
        ("1.3", make_sets_as_given, "still change"),
        ("1.3", make_sets_without_augmentation, "lost their random changes"),
        ("1.3", make_sets_by_changing_the_transform, "lost their random changes"),
        ("1.3", make_sets_without_a_split, "in both sets"),
        ("1.3", make_sets_with_frozen_noise, "not what test_transform"),
        ("1.3", make_sets_that_lose_images, "in neither set"),
        ("1.3", lambda root, a, b: ImageFolder(root, b), "Return two sets"),
        ("1.4", KEPT | {"dogs": SMALL}, "flip left-right"),
        ("1.4", KEPT | {"digits": SMALL | {"rotate 180°"}}, "rotate 180°"),
        ("1.4", KEPT | {"X-rays": SMALL | {"flip left-right"}}, "heart"),
        ("1.4", KEPT | {"digits": "brightness"}, "crop 10 % off"),
        ("1.4", KEPT | {"digits": SMALL | {"blur"}}, "not in the list"),
        ("1.4", {"dogs": KEPT["dogs"]}, "digits are still missing"),
    ],
)
def test_wrong_answers_get_their_hint(number, answer, hint):
    printed = judge(number, answer)
    assert "✘ not yet" in printed and hint in printed


def test_wrong_counts_get_their_hint(room):
    def hint(count_images):
        return judge("1.5", (room, count_images))

    assert "dictionary" in hint(lambda folder: 22)
    assert "Name the classes" in hint(lambda folder: {0: 12, 1: 10})
    assert "ImageFolder finds {'cup': 12, 'shoe': 10}" in hint(lambda folder: {"cup": 1, "shoe": 1})
    (room / "shoe" / "9.jpg").unlink()
    assert "shoe has 9 of 10" in hint(count_with_counter)
    for file in (room / "shoe").iterdir():
        file.unlink()
    assert "stops with FileNotFoundError" in hint(count_with_counter)
    (room / "shoe").rmdir()
    assert "a second folder" in hint(count_with_counter)


@pytest.mark.parametrize("later", ["02_custom_cnn", "03_frozen_resnet101", "04_unfreezing"])
def test_later_notebooks_repeat_the_data_cells(later):
    def list_statements(notebook):
        spine = list_spine(ROOT / "notebooks" / f"{notebook}.ipynb")
        trees = [ast.parse(source) for source in spine]
        return {ast.unparse(node) for tree in trees for node in tree.body}

    assert list_statements("01_data_and_augmentation") <= list_statements(later)
