"""Archives that are damaged, hostile or oddly made; faults have the design's numbers."""

import gzip
import io
import os
import random
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
from loopback import list_files, make_pictures, pack_tar, pack_zip

from utils import archives, unpack
from utils.archives import BadArchiveError
from utils.disk import describe_write_error
from utils.errors import CourseError
from utils.layout import find_dataset
from utils.unpack import read_marker, unpack_archive

PICTURES = make_pictures()
IDENTITY = {"bytes": 1}
PACKERS = {
    "tgz": pack_tar,
    "tar": lambda files: pack_tar(files, mode="w:"),
    "zip": pack_zip,
}
each_kind = pytest.mark.parametrize("kind", PACKERS)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "datasets" / "pets"


@pytest.fixture
def unpack_bytes(tmp_path: Path, target: Path) -> Callable:
    def run(content: bytes):
        archive = tmp_path / "made archive"
        archive.write_bytes(content)
        return unpack_archive(archive, target, IDENTITY)

    return run


@pytest.fixture
def refuse(unpack_bytes: Callable, tmp_path: Path, target: Path) -> Callable[[bytes], str]:
    """The sentence for an archive that must not be unpacked, and proof that nothing was written."""

    def run(content: bytes) -> str:
        before = {path for path in tmp_path.rglob("*")} | {target.parent, tmp_path / "made archive"}
        with pytest.raises(BadArchiveError) as caught:
            unpack_bytes(content)
        assert {path for path in tmp_path.rglob("*")} <= before
        sentence = str(caught.value)
        assert "\n" not in sentence and sentence.endswith(".")
        assert str(tmp_path / "made archive") in sentence
        return sentence

    return run


def list_pictures(folder: Path) -> dict[str, bytes]:
    found = list_files(folder)
    found.pop(".complete.json", None)
    return found


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@each_kind
def test_pictures_come_out_as_they_went_in(kind: str, unpack_bytes: Callable, target: Path) -> None:
    folders = unpack_bytes(PACKERS[kind](PICTURES))
    assert list_pictures(target) == PICTURES
    assert folders.root == target and folders.name == "pets"
    assert folders.train == target / "dogscats" / "train"
    assert folders.test == target / "dogscats" / "valid"
    assert read_marker(target, "pets", IDENTITY) == folders
    assert os.listdir(target.parent) == ["pets"]


def test_dates_of_the_archive_are_kept(unpack_bytes: Callable, target: Path) -> None:
    unpack_bytes(pack_tar(PICTURES))
    assert {path.stat().st_mtime for path in target.rglob("*.jpg")} == {1_380_000_000}


def test_date_that_no_clock_shows_is_no_fault(unpack_bytes: Callable, target: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, content in PICTURES.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1e30
            archive.addfile(info, io.BytesIO(content))
    unpack_bytes(buffer.getvalue())
    assert list_pictures(target) == PICTURES


def test_only_train_and_test_parts_are_written(unpack_bytes: Callable, target: Path) -> None:
    extras = {
        "dogscats/test1/1.jpg": b"x",
        "dogscats/sample/train/cats/cat.1.jpg": b"x",
        "dogscats/models/model.h5": b"x",
        "dogscats/vectorize.py": b"x",
        "README": b"x",
    }
    for kind in PACKERS:
        unpack_bytes(PACKERS[kind](extras | PICTURES))
        assert list_pictures(target) == PICTURES


def test_classes_may_have_the_names_of_extras(unpack_bytes: Callable, target: Path) -> None:
    pictures = make_pictures(classes=("models", "sample", "train"))
    unpack_bytes(pack_tar(pictures))
    assert list_pictures(target) == pictures


def test_marker_speaks_for_one_archive_only(unpack_bytes: Callable, target: Path) -> None:
    folders = unpack_bytes(pack_tar(PICTURES))
    assert read_marker(target, "pets", IDENTITY) == folders
    assert read_marker(target, "pets", {"bytes": 2}) is None
    assert read_marker(target, "others", IDENTITY) is None
    (target / ".complete.json").write_text('{"source": "pe')
    assert read_marker(target, "pets", IDENTITY) is None


@each_kind
def test_fault_06_truncated_archive_at_any_place(kind: str, refuse: Callable) -> None:
    content = PACKERS[kind](PICTURES)
    # The last kilobytes of a tar are padding; before it, the end of the last picture.
    end = len(content) - 1 if kind != "tar" else len(content.rstrip(b"\0")) // 512 * 512 + 511
    places = [end, end // 2, end // 3, 700, 512, 100, 20, 1, 0]
    if kind == "tar":  # exactly between two members, where tarfile alone notices nothing
        places += [512 + 2048, 2 * (512 + 2048)]
    for place in places:
        assert "damaged or incomplete" in refuse(content[:place]), place


@each_kind
def test_fault_11_flipped_bytes_are_found(kind: str, refuse: Callable) -> None:
    content = PACKERS[kind](PICTURES)
    for place in (300, len(content) // 2, len(content) // 3):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        if kind == "tar" and place % 2560 > 512:
            continue  # inside a picture; a plain tar has no checksum for that
        assert "damaged or incomplete" in refuse(bytes(damaged)), place


def test_fault_11_damaged_header_is_not_the_end(refuse: Callable) -> None:
    content = bytearray(pack_tar(PICTURES, mode="w:"))
    content[2 * 2560 + 10] ^= 0xFF  # the third member's name: tarfile would stop there in silence
    assert "damaged header" in refuse(bytes(content))
    assert "damaged header" in refuse(gzip.compress(bytes(content)))


def test_something_that_is_no_archive(refuse: Callable) -> None:
    for content in (
        b"",
        b"<html>",
        b"\x1f\x8b",
        gzip.compress(b"text"),
        b"PK\x03\x04",
        b"\0\1" * 5000,
    ):
        assert "damaged or incomplete" in refuse(content)


def test_name_that_is_both_a_file_and_a_folder(refuse: Callable) -> None:
    clash = {"dogscats/train/cats/cats.0.jpg/1.jpg": b"x"}
    assert "is both a file and a folder" in refuse(pack_tar(PICTURES | clash))
    assert "is both a file and a folder" in refuse(pack_tar(clash | PICTURES))


def test_archive_with_a_password(refuse: Callable) -> None:
    content = bytearray(pack_zip(PICTURES))
    start = content.find(b"PK\x01\x02")
    content[start + 8] |= 1  # the flag in the central directory
    assert "has a password" in refuse(bytes(content))


def test_fault_14_disk_full_while_unpacking(
    unpack_bytes: Callable, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = archives.require_space
    monkeypatch.setattr(
        archives, "require_space", lambda folder, size, why: real(folder, 1 << 60, why)
    )
    for kind in PACKERS:
        with pytest.raises(CourseError, match="free and unpacking .* needs about 1152921504.6 GB"):
            unpack_bytes(PACKERS[kind](PICTURES))
    assert not os.listdir(target.parent)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' always full device")
def test_fault_14_full_disk_is_told_from_a_damaged_archive() -> None:
    with pytest.raises(OSError) as caught:
        Path("/dev/full").write_bytes(b"x")
    assert "is full" in str(describe_write_error(caught.value, Path("data")))


def test_fault_16_interrupt_leaves_nothing_behind(
    unpack_bytes: Callable, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack_bytes(pack_tar(PICTURES))
    real, written = unpack._write_member, []

    def write_three(*member) -> None:
        written.append(real(*member))
        if len(written) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(unpack, "_write_member", write_three)
    with pytest.raises(KeyboardInterrupt):
        unpack_bytes(pack_tar(make_pictures(seed=9)))
    assert os.listdir(target.parent) == ["pets"]
    assert (
        list_pictures(target) == PICTURES
    )  # the earlier one is not touched before the new is whole


def test_fault_17_half_unpacked_folder_is_replaced(unpack_bytes: Callable, target: Path) -> None:
    write_folder(
        target, {"dogscats/train/cats/half.jpg": b"half", "dogscats/train/owls/1.jpg": b"x"}
    )
    leftover = target.parent / ".pets.unpacking-abc123"
    write_folder(leftover, {"new/dogscats/train/cats/half.jpg": b"half"})
    neighbour = write_folder(target.parent / ".pets-2.unpacking-abc123", {"new/1.jpg": b"x"})
    assert read_marker(target, "pets", IDENTITY) is None
    unpack_bytes(pack_tar(PICTURES))
    assert list_pictures(target) == PICTURES
    assert not leftover.exists() and neighbour.exists()  # another dataset's may be at work


HOSTILE = [
    "../outside.jpg",
    "dogscats/train/cats/../../../../outside.jpg",
    "dogscats/test1/../../../outside.jpg",
    "/tmp/outside.jpg",
    "..\\outside.jpg",
    "dogscats/train\\..\\..\\..\\outside.jpg",
    "C:\\outside.jpg",
    "c:outside.jpg",
    "\\\\server\\share\\outside.jpg",
    "..",
]


@each_kind
@pytest.mark.parametrize("name", HOSTILE)
def test_fault_20_path_traversal(kind: str, name: str, refuse: Callable) -> None:
    sentence = refuse(PACKERS[kind](PICTURES | {name: b"gotcha"}))
    assert repr(name) in sentence and "would be written outside" in sentence


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.FIFOTYPE, "FIFO"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (b"D", "special file"),
    ],
)
@pytest.mark.parametrize("name", ["dogscats/train/cats/link.jpg", "dogscats/test1/link.jpg"])
def test_fault_21_links_and_devices_in_a_tar(
    kind: bytes, word: str, name: str, refuse: Callable
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    sentence = refuse(pack_tar(PICTURES, (info,)))
    assert f"{name!r} is a {word}" in sentence


def test_fault_21_folder_that_is_a_link_leads_nowhere(refuse: Callable, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tarfile.TarInfo("dogscats/train/cats")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere")
    inner = gzip.decompress(pack_tar({}, (link,)))[:512]
    content = inner + pack_tar(PICTURES, mode="w:")
    assert "is a symbolic link" in refuse(content)
    assert not os.listdir(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("mode", "word"),
    [(stat.S_IFLNK, "symbolic link"), (stat.S_IFIFO, "FIFO"), (stat.S_IFBLK, "device")],
)
def test_fault_21_links_and_devices_in_a_zip(mode: int, word: str, refuse: Callable) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in PICTURES.items():
            archive.writestr(name, content)
        info = zipfile.ZipInfo("dogscats/train/cats/link.jpg")
        info.create_system, info.external_attr = 3, (mode | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert f"is a {word}" in refuse(buffer.getvalue())


@each_kind
@pytest.mark.parametrize("top", ["", "./", "dogscats/", "a/b/c/", "sample/", "My Pets/"])
@pytest.mark.parametrize("test_name", ["valid", "validation", "val", "test", "Valid"])
def test_fault_22_extra_or_missing_top_folder(
    kind: str, top: str, test_name: str, unpack_bytes: Callable, target: Path
) -> None:
    pictures = make_pictures(top=top, splits=("train", test_name), train=1, test=1, size=10)
    folders = unpack_bytes(PACKERS[kind](pictures))
    root = (target / top).resolve()
    assert (folders.train, folders.test) == (root / "train", root / test_name)


def test_fault_22_windows_separators(unpack_bytes: Callable, target: Path) -> None:
    unpack_bytes(pack_zip({name.replace("/", "\\"): data for name, data in PICTURES.items()}))
    assert list_pictures(target) == PICTURES


def test_fault_22_valid_goes_before_test(unpack_bytes: Callable) -> None:
    unlabelled = {f"dogscats/test/{index}.jpg": b"x" for index in range(3)}
    assert unpack_bytes(pack_tar(PICTURES | unlabelled)).test.name == "valid"
    # A test folder without classes is none; one with classes serves where valid is empty.
    tested = make_pictures(splits=("train", "test")) | {"dogscats/valid/note.txt": b"x"}
    assert unpack_bytes(pack_tar(tested)).test.name == "test"


def test_fault_22_shallowest_folder_wins(unpack_bytes: Callable, target: Path) -> None:
    deeper = make_pictures(seed=3, top="dogscats/older/copy/")
    assert unpack_bytes(pack_tar(deeper | PICTURES)).train == target / "dogscats" / "train"


@each_kind
def test_fault_22_other_layout_is_shown(kind: str, refuse: Callable) -> None:
    sentence = refuse(PACKERS[kind]({"pets/cats/1.jpg": b"x", "pets/dogs/1.jpg": b"x"}))
    assert "train/<class>/*.jpg and valid/<class>/*.jpg" in sentence
    assert sentence.endswith("it has pets/cats (1 images), pets/dogs (1 images).")
    only_train = {name: data for name, data in PICTURES.items() if "/train/" in name}
    assert "dogscats/train/cats (3 images)" in refuse(PACKERS[kind](only_train))


STRAY = {
    "dogscats/.ipynb_checkpoints/1.jpg": b"x",
    "dogscats/train/.ipynb_checkpoints/cat.1.jpg": b"x",
    "dogscats/train/cats/.ipynb_checkpoints/cat.1.jpg": b"x",
    "dogscats/train/cats/._cat.1.jpg": b"x",
    "dogscats/valid/dogs/.DS_Store": b"x",
    "__MACOSX/dogscats/train/cats/._cat.1.jpg": b"x",
    "dogscats/train/__MACOSX/cat.1.jpg": b"x",
}


@each_kind
def test_fault_23_stray_files_in_an_archive(
    kind: str, unpack_bytes: Callable, target: Path
) -> None:
    visible = {
        "dogscats/train/cats/Thumbs.db": b"x",
        "dogscats/train/Thumbs.db": b"x",
        "dogscats/train/cats/zero.jpg": b"",
    }
    unpack_bytes(PACKERS[kind](PICTURES | STRAY | visible))
    assert list_pictures(target) == PICTURES | visible
    counts = '"counts": {\n  "train": {\n   "cats": 3,\n   "dogs": 3\n  },'
    assert counts in (target / ".complete.json").read_text()


def test_fault_23_stray_files_in_a_folder(tmp_path: Path) -> None:
    extras = {"train/cats/Thumbs.db": b"x", "notes/a.txt": b"x", "models/train/cats/1.jpg": b"x"}
    write_folder(tmp_path, make_pictures(top="") | {
        name.removeprefix("dogscats/"): data for name, data in STRAY.items()
    } | extras)  # fmt: skip
    folders = find_dataset("mine", tmp_path, "The folder mine")
    assert (folders.train, folders.test) == (tmp_path / "train", tmp_path / "valid")


FAULTY_CLASSES = {
    "'owls' of .* has no images in train: put some": {
        "train/owls/note.txt": b"x",
        "valid/owls/1.jpg": b"x",
    },
    "'owls' .* no images in train": {"train/owls/zero.jpg": b"", "valid/owls/1.jpg": b"x"},
    "'owls' of .* is in train and not in valid": {"train/owls/1.jpg": b"x"},
    "'owls' of .* is in valid and not in train": {"valid/owls/1.jpg": b"x"},
}


@pytest.mark.parametrize("sentence", FAULTY_CLASSES)
@pytest.mark.parametrize("way", ["folder", "tgz", "zip"])
def test_fault_27_empty_or_one_sided_class(
    sentence: str, way: str, tmp_path: Path, unpack_bytes: Callable, target: Path
) -> None:
    files = make_pictures(top="") | FAULTY_CLASSES[sentence]
    with pytest.raises(CourseError, match=sentence) as caught:
        if way == "folder":
            find_dataset("mine", write_folder(tmp_path / "mine", files), "The folder mine")
        else:
            unpack_bytes(PACKERS[way](files))
    assert str(caught.value).endswith(".") and not target.exists()


def test_fault_27_empty_class_folder_in_an_archive(refuse: Callable) -> None:
    folders = []
    for split in ("train", "valid"):
        folders.append(tarfile.TarInfo(f"dogscats/{split}/owls"))
        folders[-1].type = tarfile.DIRTYPE
        folders[-1].mode = 0o755
    assert "The class 'owls' of " in refuse(pack_tar(PICTURES, tuple(folders)))


@pytest.mark.parametrize("way", ["folder", "tgz"])
def test_fault_27_one_class_is_not_enough(way: str, tmp_path: Path, unpack_bytes: Callable) -> None:
    files = make_pictures(classes=("cats",))
    with pytest.raises(CourseError, match="has only one class, 'cats'"):
        if way == "folder":
            find_dataset("mine", write_folder(tmp_path / "mine", files), "The folder mine")
        else:
            unpack_bytes(PACKERS[way](files))


def test_search_for_train_is_bounded(tmp_path: Path) -> None:
    write_folder(tmp_path, make_pictures(top="a/b/c/d/e/"))
    with pytest.raises(CourseError, match="has no pictures in the layout"):
        find_dataset("mine", tmp_path, "The folder mine")


def test_fault_34_bomb_of_gzip(refuse: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "HARMLESS_BYTES", 1 << 20)
    bomb = pack_tar(PICTURES | {"dogscats/train/cats/bomb.jpg": bytes(50 << 20)})
    assert len(bomb) < 100_000
    assert "would unpack to more than" in refuse(bomb)
    # In a folder that is skipped, and as a name that tarfile reads into memory.
    assert "unpack to more" in refuse(pack_tar({"a/test1/bomb.jpg": bytes(50 << 20)} | PICTURES))
    assert "unpack to more" in refuse(pack_tar({"a/" + "n" * (50 << 20): b"x"} | PICTURES))
    # After the end of the tar, where only the checksum is looked for.
    assert "unpack to more" in refuse(pack_tar(PICTURES) + gzip.compress(bytes(50 << 20)))


def test_fault_34_bomb_of_zip(refuse: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "HARMLESS_BYTES", 1 << 20)
    bomb = pack_zip(PICTURES | {"dogscats/train/cats/bomb.jpg": bytes(50 << 20)})
    assert "would unpack to more than" in refuse(bomb)
    # A header that lies about the size gets no more than it declared.
    lying = bytearray(bomb)
    start = lying.rfind(b"PK\x01\x02")
    lying[start + 24 : start + 28] = struct.pack("<I", 1000)
    assert "damaged or incomplete" in refuse(bytes(lying))


def test_fault_34_bomb_of_holes(refuse: Callable) -> None:
    sparse = tarfile.TarInfo("dogscats/train/cats/holes.jpg")
    sparse.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"77777777777\0"  # 8 GB, of which nothing is stored
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    assert "is a sparse file" in refuse(bytes(header) + pack_tar(PICTURES, mode="w:"))


def test_fault_34_endless_nesting(refuse: Callable) -> None:
    name = "dogscats/train/" + "a/" * 1500 + "1.jpg"
    assert "folders deep" in refuse(pack_tar(PICTURES | {name: b"x"}))


def mutate(content: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    return bytes(damaged[: len(damaged) - cut])


SMALL = {kind: pack(make_pictures(train=1, test=1, size=300)) for kind, pack in PACKERS.items()}
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
    content = mutate(SMALL[kind], changes, cut)
    check_survives(gzip.compress(content, 1) if kind == "raw gzip" else content)


@given(
    st.binary(max_size=3000),
    st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08\0", b"PK\x05\x06"]),
)
def test_random_bytes_raise_our_error_only(content: bytes, beginning: bytes) -> None:
    check_survives(beginning + content)


def check_survives(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        outside = Path(temporary)
        archive, target = outside / "archive", outside / "home" / "datasets" / "pets"
        archive.write_bytes(content)
        try:
            unpack_archive(archive, target, IDENTITY)
        except CourseError as error:
            assert not os.listdir(target.parent) and "\n" not in str(error)
        assert sorted(os.listdir(outside)) == ["archive", "home"]
        assert os.listdir(outside / "home") == ["datasets"]
        assert not any(path.is_symlink() for path in outside.rglob("*"))


def test_random_names_stay_inside(unpack_bytes: Callable, target: Path, tmp_path: Path) -> None:
    generator = random.Random(0)
    parts = [
        "..",
        ".",
        "",
        "train",
        "valid",
        "cats",
        "a\\b",
        "C:",
        "~",
        "é",
        " ",
        "-",
        "\udcff",
        "x" * 90,
    ]
    for _ in range(60):
        name = "/".join(generator.choices(parts, k=generator.randint(1, 6)))
        before = sorted(tmp_path.iterdir())
        try:
            unpack_bytes(pack_tar(PICTURES | {name: b"x"}, mode="w:"))
        except CourseError:
            pass
        else:
            assert ".." not in name.replace("\\", "/").split("/")
        assert set(tmp_path.iterdir()) - set(before) <= {target.parent, tmp_path / "made archive"}
        assert set(os.listdir(target.parent)) <= {"pets"}
