"""Corrected labels: the table, what the loaders make of it, and that nothing else is touched."""

import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from utils.corrections import (
    Correction,
    apply_corrections,
    find_corrections_file,
    name_files,
    read_corrections,
    save_decision,
    write_corrections,
)
from utils.data import open_dataset
from utils.errors import CourseError
from utils.pictures import decode_split
from utils.settings import load_settings
from utils.weights import Preprocessing

CLASSES = ("cats", "dogs", "newts")
DECISIONS = {
    "train/cats/ä, b.png": Correction("relabel", "dogs"),
    "train/dogs/1.png": Correction("drop"),
    "train/dogs/2.png": Correction("keep"),
}


def make_dataset(root: Path) -> Path:
    for part, count in (("train", 20), ("valid", 3)):
        for class_name in CLASSES:
            folder = root / part / class_name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number:02}.png")
    return root


def test_table_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "corrections" / "made.csv"
    assert read_corrections(path, CLASSES) == {}
    write_corrections(path, DECISIONS)
    assert read_corrections(path, CLASSES) == DECISIONS
    assert path.read_text("utf-8").splitlines() == [
        "file,decision,label",
        '"train/cats/ä, b.png",relabel,dogs',
        "train/dogs/1.png,drop,",
        "train/dogs/2.png,keep,",
    ]
    assert [file.name for file in path.parent.iterdir()] == ["made.csv"]


def test_table_that_a_spreadsheet_saved(tmp_path):
    path = tmp_path / "made.csv"
    path.write_bytes(b"\xef\xbb\xbffile,decision,label\r\na.png,relabel,dogs\r\n\r\nb.png,drop\r\n")
    assert read_corrections(path, CLASSES) == {
        "a.png": Correction("relabel", "dogs"),
        "b.png": Correction("drop"),
    }


@pytest.mark.parametrize(
    "line",
    [
        "a.png,relabel,foxes",
        "a.png,relabel,",
        "a.png,forget,",
        "a.png",
        ",drop,",
        "a.png,drop,dogs",
        "a.png,keep,,more",
    ],
)
def test_line_without_sense_is_named(tmp_path, line):
    path = tmp_path / "made.csv"
    path.write_text(f"file,decision,label\nb.png,keep,\n{line}\n")
    with pytest.raises(CourseError, match="Line 3 of .*made.csv is no correction"):
        read_corrections(path, CLASSES)


def test_table_that_is_no_text(tmp_path):
    path = tmp_path / "made.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(CourseError, match="no table of corrections"):
        read_corrections(path, CLASSES)


def test_decision_replaces_an_earlier_one_and_no_other(tmp_path):
    path = tmp_path / "made.csv"
    write_corrections(path, DECISIONS)
    save_decision(path, CLASSES, "train/dogs/1.png", Correction("keep"))
    expected = DECISIONS | {"train/dogs/1.png": Correction("keep")}
    assert read_corrections(path, CLASSES) == expected


def test_folder_that_cannot_be_written(tmp_path, monkeypatch):
    folder = tmp_path / "locked"
    folder.write_text("a file where the folder should be")
    with pytest.raises(CourseError):
        save_decision(folder / "made.csv", CLASSES, "a.png", Correction("keep"))
    assert not stat.S_ISDIR(folder.stat().st_mode)


def test_labels_and_rows_after_correcting():
    files = ["train/cats/ä, b.png", "train/cats/0.png", "train/dogs/1.png", "train/dogs/2.png", "n"]
    labels = np.array([0, 0, 1, 1, 2])
    rows, corrected = apply_corrections(files, labels, CLASSES, DECISIONS)
    assert rows.tolist() == [0, 1, 3, 4] and corrected.tolist() == [1, 0, 1, 2]
    assert labels.tolist() == [0, 0, 1, 1, 2]


def test_a_class_is_never_corrected_away():
    with pytest.raises(CourseError, match="no training picture of 'newts'"):
        apply_corrections(["a", "b", "n"], np.arange(3), CLASSES, {"n": Correction("drop")})


def test_loaders_respect_the_table(tmp_path, capsys):
    root = make_dataset(tmp_path / "animals")
    settings = load_settings("sample", data=str(root), home=str(tmp_path / "home"))
    untouched = open_dataset(settings)
    files = name_files(untouched.train.paths, untouched.root)
    assert files[0].startswith("train/cats/") and Path(untouched.root / files[0]).is_file()
    size = Preprocessing(8, 8, "bilinear", (0.5,) * 3, (0.5,) * 3)
    key = decode_split(untouched.train, size, settings.home).key

    table = find_corrections_file(settings)
    tested, judged = (name_files(split.paths[:1], untouched.root)[0]
                      for split in (untouched.test, untouched.validation))  # fmt: skip
    decisions = {
        files[0]: Correction("relabel", "dogs"),
        files[-1]: Correction("drop"),
        files[1]: Correction("keep"),
        tested: Correction("drop"),
        judged: Correction("relabel", "newts"),
        "train/cats/gone.png": Correction("drop"),
    }
    write_corrections(table, decisions)
    capsys.readouterr()
    corrected = open_dataset(settings)
    printed = capsys.readouterr().out
    assert "1 relabelled, 1 dropped" in printed and "2 of its lines" in printed
    assert corrected.train.paths == untouched.train.paths[:-1]
    assert corrected.train.labels[0] == 1
    assert corrected.train.labels[1:].tolist() == untouched.train.labels[1:-1].tolist()
    for part in ("validation", "test"):
        before, after = getattr(untouched, part), getattr(corrected, part)
        assert before.paths == after.paths
        assert before.labels.tolist() == after.labels.tolist()
    assert decode_split(corrected.train, size, settings.home).key != key  # so runs are made again

    table.unlink()
    capsys.readouterr()
    again = open_dataset(settings)
    assert capsys.readouterr().out == ""
    assert again.train.paths == untouched.train.paths
    assert decode_split(again.train, size, settings.home).key == key


def test_only_kept_labels_change_nothing(tmp_path, capsys):
    settings = load_settings("sample", data=str(make_dataset(tmp_path / "a")), home=str(tmp_path))
    before = open_dataset(settings)
    file = name_files(before.train.paths, before.root)[0]
    save_decision(find_corrections_file(settings), CLASSES, file, Correction("keep"))
    capsys.readouterr()
    assert open_dataset(settings).train.paths == before.train.paths
    assert capsys.readouterr().out == ""
