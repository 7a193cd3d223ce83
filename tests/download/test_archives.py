"""Archives that are damaged, hostile or oddly made."""

import gzip
import io
import os
import random
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import list_files, make_images, pack_tar, pack_zip, write_files

from utils.download import archives
from utils.download.archives import DamagedError, unpack
from utils.settings import CourseError

FILES = make_images()
PACKERS = {
    "tgz": pack_tar,
    "tar": lambda files: pack_tar(files, mode="w:"),
    "tar.bz2": lambda files: pack_tar(files, mode="w:bz2"),
    "tar.xz": lambda files: pack_tar(files, mode="w:xz"),
    "zip": pack_zip,
}
each_kind = pytest.mark.parametrize("kind", PACKERS)


def want_all(parts: list[str]) -> bool:
    return True


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "scratch" / "unpacked"


@pytest.fixture
def unpack_bytes(tmp_path: Path, target: Path) -> Callable:
    def run(content: bytes, is_wanted: Callable = want_all) -> dict[str, bytes]:
        (tmp_path / "archive").write_bytes(content)
        unpack(tmp_path / "archive", target, is_wanted)
        return list_files(target)

    return run


@pytest.fixture
def refuse(unpack_bytes: Callable, tmp_path: Path) -> Callable[[bytes], str]:
    """The sentence for an archive that cannot be used, and proof that nothing lies outside."""

    def run(content: bytes, kind: type = CourseError) -> str:
        with pytest.raises(kind) as caught:
            unpack_bytes(content)
        assert set(os.listdir(tmp_path)) <= {"archive", "scratch"}
        assert set(os.listdir(tmp_path / "scratch")) <= {"unpacked"}
        assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
        shutil.rmtree(tmp_path / "scratch")
        sentence = str(caught.value)
        assert "\n" not in sentence and sentence.endswith(".")
        assert str(tmp_path / "archive") in sentence
        return sentence

    return run


@each_kind
def test_files_come_out_as_they_went_in(kind: str, unpack_bytes: Callable) -> None:
    assert unpack_bytes(PACKERS[kind](FILES)) == FILES


def test_zip_that_unpacks_itself(unpack_bytes: Callable) -> None:
    assert unpack_bytes(b"MZ" + bytes(1000) + pack_zip(FILES)) == FILES


def test_dates_are_kept_and_impossible_ones_are_no_fault(
    unpack_bytes: Callable, target: Path
) -> None:
    unpack_bytes(pack_tar(FILES))
    assert {path.stat().st_mtime for path in target.rglob("*.png")} == {1_380_000_000}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("pets/1.png")
        info.size, info.mtime = 1, 1e30
        archive.addfile(info, io.BytesIO(b"x"))
    target.rename(target.with_name("before"))
    assert unpack_bytes(buffer.getvalue()) == {"pets/1.png": b"x"}


@each_kind
def test_only_wanted_members_are_written(kind: str, unpack_bytes: Callable) -> None:
    extras = {"pets/test1/1.jpg": b"x", "README": b"x"}
    found = unpack_bytes(PACKERS[kind](extras | FILES), lambda parts: "train" in parts)
    assert found == {name: content for name, content in FILES.items() if "/train/" in name}


@each_kind
def test_fault_06_truncated_archive_at_any_place(kind: str, refuse: Callable) -> None:
    content = PACKERS[kind](FILES)
    # The last kilobytes of a tar are padding; before it, the end of the last image.
    end = len(content) - 1 if kind != "tar" else len(content.rstrip(b"\0")) // 512 * 512 + 511
    places = [end, end // 2, end // 3, 700, 512, 100, 20, 1, 0]
    if kind == "tar":  # exactly between two members, where tarfile alone notices nothing
        places += [
            place for place in range(512, end, 512) if content[place + 257 :][:5] == b"ustar"
        ]
    for place in places:
        assert "damaged or incomplete" in refuse(content[:place], DamagedError), place


@each_kind
def test_fault_11_flipped_bytes_are_found(kind: str, refuse: Callable) -> None:
    content = PACKERS[kind](FILES)
    for place in (300, len(content) // 2, len(content) // 3):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        if kind != "tar" or place == 300:  # a plain tar has no checksum inside an image
            refuse(bytes(damaged), DamagedError)


def test_fault_11_damaged_header_is_not_the_end(refuse: Callable) -> None:
    content = bytearray(pack_tar(FILES, mode="w:"))
    content[content.index(b"cats.2.png")] ^= 0xFF  # tarfile would stop there in silence
    assert "damaged header" in refuse(bytes(content), DamagedError)
    assert "damaged header" in refuse(gzip.compress(bytes(content)), DamagedError)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"\x1f\x8b", "damaged"),
        (gzip.compress(b"text", mtime=0), "damaged"),
        (b"PK\x03\x04", "damaged"),
        (b"\0\1" * 5000, "damaged"),
        (b"\n<!DOCTYPE html>", "it is a saved web page, whatever its name says"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(500), "it is a 7z archive"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(500), "it is a RAR archive"),
    ],
)
def test_something_that_is_no_archive(content: bytes, reason: str, refuse: Callable) -> None:
    assert reason in refuse(content)


def test_zip_of_a_kind_that_python_cannot_read(refuse: Callable) -> None:
    content = bytearray(pack_zip(FILES))
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # Deflate64, as Windows writes
        place = content.find(mark)
        while place >= 0:
            content[place + offset] = 9
            place = content.find(mark, place + 4)
    assert "compression" in refuse(bytes(content)) and "pack the images again" in refuse(
        bytes(content)
    )
    content = bytearray(pack_zip(FILES))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(mark) + offset] |= 1
    assert "password" in refuse(bytes(content))


def test_name_that_is_both_a_file_and_a_folder(refuse: Callable) -> None:
    clash = {"pets/train/cats/cats.0.png/1.png": b"x"}
    refuse(pack_tar(FILES | clash), DamagedError)
    refuse(pack_tar(clash | FILES), DamagedError)


HOSTILE = [
    "../outside.png", "pets/train/cats/../../../../outside.png", "..\\outside.png",
    "pets/train\\..\\..\\..\\outside.png", "..", "/tmp/outside-of-the-course.png",
    "C:\\outside.png", "\\\\server\\share\\outside.png",
]  # fmt: skip


@each_kind
@pytest.mark.parametrize("name", HOSTILE)
def test_fault_20_path_traversal(
    kind: str, name: str, refuse: Callable, unpack_bytes: Callable, tmp_path: Path
) -> None:
    content = PACKERS[kind](FILES | {name: b"gotcha"})
    if ".." in name:
        assert "outside the destination" in refuse(content)
    else:  # an absolute name becomes one inside
        assert len(unpack_bytes(content)) == len(FILES) + 1
        assert not Path("/tmp/outside-of-the-course.png").exists()
        assert sorted(os.listdir(tmp_path)) == ["archive", "scratch"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("leads", ["/etc/passwd", "../../../../etc/passwd"])
def test_fault_21_links_that_lead_out(kind: bytes, leads: str, refuse: Callable) -> None:
    info = tarfile.TarInfo("pets/train/cats/link.png")
    info.type, info.linkname = kind, leads
    assert "link.png" in refuse(pack_tar(FILES, (info,)))


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_fault_21_devices(kind: bytes, refuse: Callable) -> None:
    info = tarfile.TarInfo("pets/train/cats/device.png")
    info.type = kind
    assert "device.png" in refuse(pack_tar(FILES, (info,)))


def test_link_to_a_neighbour_is_left_out(unpack_bytes: Callable) -> None:
    info = tarfile.TarInfo("pets/train/cats/link.png")
    info.type, info.linkname = tarfile.SYMTYPE, "cats.0.png"
    assert unpack_bytes(pack_tar(FILES, (info,))) == FILES


def test_fault_21_link_in_a_zip_is_no_link(unpack_bytes: Callable, target: Path) -> None:
    buffer = io.BytesIO(pack_zip(FILES))
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo("pets/train/cats/link.png")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    unpack_bytes(buffer.getvalue())
    assert not any(path.is_symlink() for path in target.rglob("*"))


def test_fault_22_zip_of_windows(unpack_bytes: Callable, target: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ["pets\\", "pets\\train\\", "pets\\train\\empty\\", *FILES]:
            info = zipfile.ZipInfo("x")
            info.filename, info.create_system = name.replace("/", "\\"), 0
            archive.writestr(info, FILES.get(name, b""))
    assert unpack_bytes(buffer.getvalue()) == FILES
    assert (target / "pets" / "train" / "empty").is_dir()


def test_fault_34_bombs(refuse: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "HARMLESS_BYTES", 1 << 20)
    zeros = bytes(10 << 20)
    bomb = pack_zip(FILES | {"pets/bomb.png": zeros})
    for content in (
        pack_tar(FILES | {"pets/bomb.png": zeros}),
        pack_tar({"a/" + "n" * len(zeros): b"x"} | FILES),  # a name that is read into memory
        pack_tar(FILES) + gzip.compress(zeros),  # after the end, where the checksum is
        bomb,
    ):
        assert "would unpack to more than" in refuse(content)
    lying = bytearray(bomb)  # gets no more than it declared
    start = lying.rfind(b"PK\x01\x02")
    lying[start + 24 : start + 28] = struct.pack("<I", 1000)
    refuse(bytes(lying), DamagedError)


def test_fault_34_bomb_of_holes(refuse: Callable) -> None:
    sparse = tarfile.TarInfo("pets/train/cats/holes.png")
    sparse.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"77777777777\0"  # 8 GB, of which nothing is stored
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    assert "holes.png" in refuse(bytes(header) + pack_tar(FILES, mode="w:"))


@each_kind
def test_fault_34_endless_nesting_is_left_out(kind: str, unpack_bytes: Callable) -> None:
    name = "pets/train/" + "a/" * 1500 + "1.png"
    assert unpack_bytes(PACKERS[kind](FILES | {name: b"x"})) == FILES


SMALL = {kind: pack(make_images(train=1, test=1)) for kind, pack in PACKERS.items()}
SMALL["raw gzip"] = SMALL["tar"]  # mutated before it is compressed, so that the checksum is right


@pytest.mark.slow
@given(
    kind=st.sampled_from(sorted(SMALL)),
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 400),
)
def test_mutated_archives_raise_our_error_only_and_write_nothing_outside(
    kind: str, changes: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(SMALL[kind])
    for place, value in changes:
        content[place % len(content)] = value
    content = bytes(content[: len(content) - cut])
    check_survives(gzip.compress(content, 1) if kind == "raw gzip" else content)


@given(
    st.binary(max_size=3000),
    st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08\0", b"PK\x05\x06", b"BZh9", b"\xfd7zXZ\0"]),
)
def test_random_bytes_raise_our_error_only(content: bytes, beginning: bytes) -> None:
    check_survives(beginning + content)


def check_survives(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        outside = Path(temporary)
        archive, target = outside / "archive", outside / "scratch" / "unpacked"
        archive.write_bytes(content)
        try:
            unpack(archive, target, want_all)
        except CourseError as error:
            assert "\n" not in str(error)
        assert sorted(os.listdir(outside)) == ["archive", "scratch"]
        assert os.listdir(outside / "scratch") == ["unpacked"]
        assert not any(path.is_symlink() for path in outside.rglob("*"))


def test_random_names_stay_inside(tmp_path: Path) -> None:
    generator = random.Random(0)
    parts = ["..", ".", "", "train", "cats", "a\\b", "C:", "~", "é", " ", "-", "\udcff", "x" * 90]
    for number in range(60):
        name = "/".join(generator.choices(parts, k=generator.randint(1, 6)))
        folder = write_files(tmp_path / str(number), {"archive": pack_tar(FILES | {name: b"x"})})
        try:
            unpack(folder / "archive", folder / "scratch" / "unpacked", want_all)
        except CourseError:
            pass
        assert sorted(os.listdir(folder)) == ["archive", "scratch"]
        assert os.listdir(folder / "scratch") == ["unpacked"]
    assert sorted(map(int, os.listdir(tmp_path))) == list(range(60))
