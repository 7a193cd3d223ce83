"""Which files become pictures of which class and split."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from utils.data import (
    Split,
    find_classes,
    fingerprint_files,
    list_split,
    open_dataset,
    split_stratified,
)
from utils.errors import CourseError
from utils.settings import load_settings


def make_folder(root: Path, counts: dict[str, int]) -> Path:
    """A folder of small pictures with one subfolder a class."""
    for class_name, count in counts.items():
        folder = root / class_name
        folder.mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{class_name}.{number:03}.png")
    return root


def make_split(*counts: int) -> Split:
    labels = np.repeat(np.arange(len(counts)), counts)
    paths = tuple(Path(f"{row}.png") for row in range(len(labels)))
    return Split("train", paths, labels, tuple(f"class {i}" for i in range(len(counts))))


@pytest.mark.parametrize("counts", [(100, 40), (20, 20, 60), (2, 2)])
def test_split_is_stratified_and_disjoint(counts):
    split = make_split(*counts)
    train, validation = split_stratified(split, 0.1, seed=0)
    expected = [max(1, round(count * 0.1)) for count in counts]
    assert np.bincount(validation.labels).tolist() == expected
    assert set(train.paths).isdisjoint(validation.paths)
    assert set(train.paths) | set(validation.paths) == set(split.paths)
    assert (train.name, validation.name) == ("train", "validation")
    for part in (train, validation):  # a label stays with its picture
        assert [split.labels[int(path.stem)] for path in part.paths] == part.labels.tolist()


def test_split_depends_on_the_seed_alone():
    split = make_split(50, 50)
    first, again, other = (split_stratified(split, 0.1, seed)[1].paths for seed in (0, 0, 1))
    assert first == again != other


def test_single_picture_of_a_class():
    with pytest.raises(CourseError, match="'class 1' has 1 training picture"):
        split_stratified(make_split(5, 1), 0.1, seed=0)


def test_hidden_folders_and_strays_are_passed_over(tmp_path):
    root = make_folder(tmp_path / "train", {"cats": 3, "dogs": 2})
    for hidden in (".ipynb_checkpoints", "__MACOSX", "cats/.ipynb_checkpoints", "cats/__MACOSX"):
        (root / hidden).mkdir()
        Image.new("RGB", (8, 8)).save(root / hidden / "copy.png")
    (root / "stray.png").write_bytes(b"beside the class folders")
    (root / "cats" / "notes.txt").write_text("no picture")
    (root / "cats" / "Thumbs.db").write_bytes(b"no picture")
    (root / "cats" / "._cats.000.png").write_bytes(b"resource fork")
    (root / "dogs" / "empty.jpg").write_bytes(b"")
    (root / "dogs" / "folder.jpg").mkdir()
    classes = find_classes(root)
    assert classes == ("cats", "dogs")
    split = list_split("train", root, classes)
    assert [path.name for path in split.paths] == [
        "cats.000.png", "cats.001.png", "cats.002.png", "dogs.000.png", "dogs.001.png",
    ]  # fmt: skip
    assert split.labels.tolist() == [0, 0, 0, 1, 1]


def test_endings_in_capitals_and_deeper_folders(tmp_path):
    root = make_folder(tmp_path / "train", {"cats": 1, "dogs": 1})
    (root / "cats" / "summer").mkdir()
    Image.new("RGB", (8, 8)).save(root / "cats" / "summer" / "HOLIDAY.JPG")
    assert len(list_split("train", root, ("cats", "dogs"))) == 3


@pytest.mark.parametrize("names", [[], ["cats"], ["cats", ".hidden"]])
def test_fewer_than_two_classes(tmp_path, names):
    root = make_folder(tmp_path / "train", dict.fromkeys(names, 1)) if names else tmp_path
    with pytest.raises(CourseError, match="at least two"):
        find_classes(root)


def test_class_without_pictures(tmp_path):
    root = make_folder(tmp_path / "train", {"cats": 2, "dogs": 0})
    with pytest.raises(CourseError, match="'dogs' has no pictures"):
        list_split("train", root, ("cats", "dogs"))


def test_class_missing_from_the_test_part(tmp_path):
    root = make_folder(tmp_path / "valid", {"cats": 2})
    with pytest.raises(CourseError, match="'dogs' has no pictures"):
        list_split("test", root, ("cats", "dogs"))


def test_own_folder_with_three_classes(tmp_path):
    own = tmp_path / "my birds"
    make_folder(own / "train", {"wren": 10, "owl": 20, "tit": 10})
    make_folder(own / "valid", {"wren": 3, "owl": 4, "tit": 5})
    settings = load_settings("sample", data=str(own))
    before = sorted(own.rglob("*"))
    dataset = open_dataset(settings)
    assert dataset.classes == ("owl", "tit", "wren")
    assert np.bincount(dataset.train.labels).tolist() == [18, 9, 9]
    assert np.bincount(dataset.validation.labels).tolist() == [2, 1, 1]
    assert np.bincount(dataset.test.labels).tolist() == [4, 5, 3]
    for split in (dataset.train, dataset.validation, dataset.test):
        for path, label in zip(split.paths, split.labels, strict=True):
            assert path.parent.name == dataset.classes[label]
    assert sorted(own.rglob("*")) == before  # an own folder is never written to


def test_fingerprint_changes_with_files_labels_and_order(tmp_path):
    root = make_folder(tmp_path / "train", {"cats": 2})
    paths = tuple(sorted((root / "cats").iterdir()))
    labels = np.array([0, 1])
    prints = [
        fingerprint_files(paths, labels),
        fingerprint_files(paths, labels[::-1]),
        fingerprint_files(paths[::-1], labels),
        fingerprint_files(paths[:1], labels[:1]),
    ]
    assert fingerprint_files(paths, labels) == prints[0]
    paths[0].write_bytes(b"other content")
    prints.append(fingerprint_files(paths, labels))
    assert len(set(prints)) == 5
