"""Caches and runs on disk that were damaged, or were being written when the process was killed."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_features import SMALL as CROP
from test_features import count_calls, make_pictures, settings  # noqa: F401 (fixtures)
from test_pictures import SMALL, make_split
from test_runs import TRAIN, save
from test_runs import settings as run_settings  # noqa: F401 (a fixture)

from utils import disk, files, pictures
from utils.errors import CourseError
from utils.features import extract_features, read_features
from utils.files import read_json, remove_leftovers, write_atomically, write_json
from utils.pictures import decode_split
from utils.runs import collect_results, find_folder, find_run, load_run_test, load_run_weights


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def damage_array(array: Path, notes: Path, damage: str) -> None:
    content = array.read_bytes()
    changes = {
        "cut": lambda: array.write_bytes(content[:-1]),
        "empty": lambda: array.write_bytes(b""),
        "of more pictures": lambda: array.write_bytes(content + content[: len(content) // 6]),
        "gone": array.unlink,
        "notes cut": lambda: notes.write_bytes(notes.read_bytes()[:9]),
        "notes empty": lambda: notes.write_bytes(b""),
        "notes of another kind": lambda: notes.write_text("{}"),
        "notes of other pictures": lambda: notes.write_text('{"unreadable": {}}'),
        "notes gone": notes.unlink,
    }
    changes[damage]()


@pytest.mark.parametrize(
    "damage",
    [
        "cut", "empty", "of more pictures", "gone", "notes cut", "notes empty",
        "notes of another kind", "notes of other pictures", "notes gone",
    ],
)  # fmt: skip
def test_fault_30_damaged_decoded_pictures_are_decoded_again(tmp_path: Path, damage: str) -> None:
    split = make_split(tmp_path / "in", broken=(4,))
    expected = np.array(decode_split(split, SMALL, tmp_path).array)
    array, notes = sorted((tmp_path / "cache" / "pictures").iterdir(), reverse=True)
    whole = {path: path.read_bytes() for path in (array, notes)}
    damage_array(array, notes, damage)
    again = decode_split(split, SMALL, tmp_path)
    assert np.array_equal(again.array, expected)
    assert len(again.unreadable) == 1 and len(again) == 5
    assert {path: path.read_bytes() for path in (array, notes)} == whole  # mended on disk, too


def test_fault_13_room_for_decoded_pictures_is_checked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=6 * 24 * 24 * 3 - 1)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: usage)
    monkeypatch.setattr(pictures, "decode_picture", pytest.fail)
    with pytest.raises(CourseError, match="free and keeping the decoded train pictures needs"):
        decode_split(make_split(tmp_path / "in"), SMALL, tmp_path)
    assert list_names(tmp_path / "cache") == []


def test_interrupt_does_not_wait_for_all_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is decoded and not yet written lies in memory: it is never more than a few hundred."""
    split = make_split(tmp_path / "in").select(np.zeros(2_000, dtype=int))
    decoded = []

    def decode(path: Path, *_) -> np.ndarray:
        decoded.append(path)
        return np.zeros((24, 24, 3), np.uint8)

    class Stop:
        """A progress bar whose third picture is interrupted."""

        def __init__(self, **_) -> None:
            self.seen = 0

        def update(self) -> None:
            self.seen += 1
            if self.seen == 3:
                raise KeyboardInterrupt

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda self, *_: None  # noqa: E731

    monkeypatch.setattr(pictures, "decode_picture", decode)
    monkeypatch.setattr(pictures, "tqdm", Stop)
    with pytest.raises(KeyboardInterrupt):
        decode_split(split, SMALL, tmp_path)
    assert len(decoded) <= pictures.DECODED_AT_ONCE
    assert list_names(tmp_path / "cache") == []


def test_shared_caches_are_read_and_never_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, home = tmp_path / "shared", tmp_path / "home"
    split = make_split(tmp_path / "in")
    expected = np.array(decode_split(split, SMALL, shared).array)
    monkeypatch.setenv("COURSE_SHARED", str(shared))
    assert np.array_equal(decode_split(split, SMALL, home).array, expected)
    assert not home.exists()
    [array] = shared.rglob("*.uint8")
    array.write_bytes(b"damaged")
    assert np.array_equal(decode_split(split, SMALL, home).array, expected)
    assert array.read_bytes() == b"damaged" and len(list(home.rglob("*.uint8"))) == 1


def test_decoded_pictures_are_found_from_another_path_of_the_same_folder(tmp_path: Path) -> None:
    """A class's folder is /srv/pets on one computer and X:\\pets on the next."""
    first = decode_split(make_split(tmp_path / "in"), SMALL, tmp_path)
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    paths = tuple(tmp_path / "elsewhere" / path.name for path in first.split.paths)
    assert decode_split(replace(first.split, paths=paths), SMALL, tmp_path).key == first.key


@pytest.mark.parametrize("damage", ["bit", "other type", "nothing but a name"])
def test_fault_30_damaged_features_are_computed_again(
    settings,  # noqa: F811
    count_calls,  # noqa: F811
    damage: str,
) -> None:
    first = extract_features(settings, make_pictures(), CROP)
    [path] = (settings.home / "cache" / "features").iterdir()
    if damage == "bit":
        content = bytearray(path.read_bytes())
        content[content.index(first.values.numpy().tobytes()) + 5] ^= 1
        path.write_bytes(content)
    elif damage == "other type":
        np.savez(path, values=first.values.numpy().astype(np.int64), seconds=1.0)
    else:
        path.unlink()
        path.mkdir()
        path.rmdir()
    again = extract_features(settings, make_pictures(), CROP)
    assert torch.equal(first.values, again.values) and len(count_calls) == 2


def test_shared_features_are_found(
    settings,  # noqa: F811
    count_calls,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = extract_features(settings, make_pictures(), CROP)
    monkeypatch.setenv("COURSE_SHARED", str(settings.home))
    elsewhere = replace(settings, home=tmp_path / "elsewhere")
    assert torch.equal(extract_features(elsewhere, make_pictures(), CROP).values, first.values)
    assert len(count_calls) == 1 and not elsewhere.home.exists()


@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4))
def test_fault_30_mutated_features_are_whole_or_none(tmp_path_factory, changes) -> None:
    path = tmp_path_factory.mktemp("mutated") / "features.npz"
    values = np.arange(24, dtype=np.float32).reshape(6, 4)
    np.savez(path, values=values, seconds=1.0)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content)
    found = read_features(path, 6)
    assert found is None or np.array_equal(found[0], values)


@pytest.mark.parametrize("name", ["weights.pt", "test.npz"])
@pytest.mark.parametrize("damage", ["cut", "bit", "gone"])
def test_fault_30_damaged_run_is_made_again(
    run_settings,  # noqa: F811
    name: str,
    damage: str,
    capsys: pytest.CaptureFixture,
) -> None:
    save(run_settings, "frozen")
    path = find_folder(run_settings, "frozen") / name
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-30])
    else:
        content[len(content) // 3] ^= 1
        path.write_bytes(content)
    capsys.readouterr()
    assert find_run(run_settings, "frozen", TRAIN) is None
    assert f"The saved run frozen has a damaged file, {path}" in capsys.readouterr().out
    assert collect_results(run_settings) == [] and capsys.readouterr().out == ""
    save(run_settings, "frozen")
    assert find_run(run_settings, "frozen", TRAIN) is not None


def test_fault_30_interrupted_saving_of_a_run_mixes_no_two(
    run_settings,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save(run_settings, "frozen", correct=3)

    def interrupt(*_, **__) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("utils.runs.np.savez", interrupt)
        with pytest.raises(KeyboardInterrupt):
            save(run_settings, "frozen", correct=8)  # its weights are there, its figures are not
    assert find_run(run_settings, "frozen") is None
    save(run_settings, "frozen", correct=8)
    assert find_run(run_settings, "frozen").correct == load_run_test(run_settings, "frozen").correct
    assert load_run_weights(run_settings, "frozen")


def test_file_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "made" / "notes.json"
    write_json(path, {"version": 1})

    def write_half(file) -> None:
        file.write(b'{"version": ')
        file.flush()
        assert read_json(path) == {"version": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, write_half)
    assert read_json(path) == {"version": 1} and list_names(tmp_path) == ["notes.json"]


def test_remains_of_killed_processes_are_cleared_away(tmp_path: Path) -> None:
    path, node = tmp_path / "array.uint8", files.platform.node()
    kept = {
        f".array.uint8.{node}.{os.getppid()}.tmp",  # its process is alive
        f".array.uint8.another-{node}.999999999.tmp",  # nobody here knows about that one
        f".array.uint8-2.{node}.999999999.tmp",  # of another file
    }
    for name in {f".array.uint8.{node}.999999999.tmp", f".array.uint8.{node}.x.tmp"} | kept:
        (tmp_path / name).write_bytes(b"half")
    write_atomically(path, lambda file: file.write(b"whole"))
    assert {entry.name for entry in tmp_path.iterdir()} == kept | {path.name}
    remove_leftovers(tmp_path / "gone", ".array.uint8.")  # no such folder: nothing to do
