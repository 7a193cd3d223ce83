"""Files that are there whole or not at all, and the sentences for a disk that says no."""

import errno
import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from patience import HANG, wait_until

from utils import files
from utils.settings import CourseError


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.bin"
    files.write_atomically(path, lambda file: file.write(b"old"))

    def write_half(file) -> None:
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(path, write_half)
    assert path.read_bytes() == b"old" and os.listdir(path.parent) == ["a.bin"]
    files.write_atomically(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    names = (".a[1].bin.77.tmp", ".a[1].bin.78.tmp", ".b.bin.77.tmp")
    for name in names:
        (tmp_path / name).write_bytes(b"half")
    for name in (names[0], names[2]):
        os.utime(tmp_path / name, (time.time() - 90_000,) * 2)
    files.write_atomically(tmp_path / "a[1].bin", lambda file: file.write(b"x"))
    # Of the second one somebody may be at work; the third is another file's.
    assert sorted(os.listdir(tmp_path)) == sorted(["a[1].bin", *names[1:]])


def test_json_comes_back_and_damage_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert files.read_json(path) == {}
    files.write_json(path, {"a": [1, "é"]})
    assert files.read_json(path) == {"a": [1, "é"]}
    for damage in (b'{"a": [1', b"[1]", b"\xff"):
        path.write_bytes(damage)
        assert files.read_json(path) == {}


def test_whole_zip(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.arange(1000))
    content = (tmp_path / "a.npz").read_bytes()
    assert files.is_whole(tmp_path / "a.npz")
    for damage in (content[:-1], content[:300] + b"?" + content[301:], b""):
        (tmp_path / "a.npz").write_bytes(damage)
        assert not files.is_whole(tmp_path / "a.npz")


def test_a_disk_that_fills_up_under_torch_save_is_named(tmp_path: Path) -> None:
    """torch.save closes its archive even so, which fails in another way and hides the cause."""

    def write(file) -> None:
        def write_a_little(content) -> int:
            if file.tell() + len(content) > 1000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return file.write(content)

        torch.save(torch.zeros(1000), SimpleNamespace(write=write_a_little, flush=file.flush))

    with pytest.raises(CourseError, match="is full: make room"):
        files.write_atomically(tmp_path / "a.pt", write)
    assert os.listdir(tmp_path) == []


def test_a_fault_of_the_code_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    def write(file) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="^shapes do not fit$"):
        files.write_atomically(tmp_path / "a.pt", write)


def test_a_file_put_aside_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"x")
    assert files.put_aside(tmp_path / "a.pt", "damaged").read_bytes() == b"x"
    assert os.listdir(tmp_path) == ["a.pt.damaged"]


def test_the_shared_folder_goes_first() -> None:
    settings = SimpleNamespace(home=Path("home"), shared=None)
    assert files.find_places(settings, "cache", "a") == [Path("home/cache/a")]
    settings.shared = Path("shared")
    assert files.find_places(settings, "cache") == [Path("shared/cache"), Path("home/cache")]


def test_one_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    order = []

    def wait_and_enter() -> None:
        with files.hold_lock(tmp_path / "locks", "pets"):
            order.append("second")

    with files.hold_lock(tmp_path / "locks", "pets"):
        other = threading.Thread(target=wait_and_enter)
        other.start()
        wait_until(lambda: "waiting" in capsys.readouterr().out)
        order.append("first")
    other.join(HANG)
    assert order == ["first", "second"]


def test_a_disk_that_knows_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_, **__) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(files.FileLock, "acquire", refuse)
    with pytest.raises(CourseError, match="cannot be written to .*flock.*set COURSE_HOME"):
        with files.hold_lock(tmp_path, "pets"):
            pass


def test_room_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=2_000_000))
    files.require_space(tmp_path, 2_000_000, "this")
    with pytest.raises(
        CourseError, match="has 2.0 MB free and this needs about 3.5 GB: .*COURSE_H"
    ):
        files.require_space(tmp_path, 3_500_000_000, "this")
    assert files.format_bytes(12) == "12 bytes" and files.format_bytes(3400) == "3.4 kB"
    assert files.count(1, "file") == "1 file" and files.count(2000, "file") == "2,000 files"


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC])
def test_the_folder_of_weights_has_a_variable_of_its_own(number: int) -> None:
    error = OSError(number, os.strerror(number))
    for folder, setting in (
        (Path("x/hub/checkpoints"), "TORCH_HOME"),
        (Path("x/data"), "COURSE_HOME"),
    ):
        sentence = str(files.describe_write_error(error, folder))
        assert str(folder) in sentence and f"set {setting} to a folder" in sentence


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' always full device")
def test_a_full_disk_is_told_from_other_faults() -> None:
    with pytest.raises(OSError) as caught:
        Path("/dev/full").write_bytes(b"x")
    assert "is full" in str(files.describe_write_error(caught.value, Path("data")))
