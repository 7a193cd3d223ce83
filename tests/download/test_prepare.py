"""People's own images, as they lie about: the tree made of them, its table, or one sentence."""

import io
import os
import re
import shutil
import tarfile
import tempfile
import unicodedata
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import (
    count_tree,
    list_files,
    make_image,
    make_images,
    make_settings,
    pack_tar,
    pack_zip,
    write_files,
)
from PIL import Image

from utils.download import download
from utils.download.archives import is_hidden
from utils.download.layouts import SIDE_FOLDERS, find_part, simplify
from utils.download.prepare import FEWEST
from utils.settings import CourseError

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500)


def draw(pattern: str, count: int, first: int = 0) -> dict[str, bytes]:
    """Images called "cats/cat.{}.png" with a number for the braces."""
    return {pattern.format(n): make_image(f"{pattern} {n}") for n in range(first, first + count)}


def place(parts: dict[str, int], names=("cats", "dogs"), file: str = "{}.png") -> dict[str, bytes]:
    """part → images of each class in it."""
    found = {}
    for part, count in parts.items():
        for name in names:
            found |= draw(f"{part}/{name}/{file}", count)
    return found


def save(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def prepare(tmp_path: Path, capsys: pytest.CaptureFixture):
    """Prepares these files from a folder, or from an archive; returns (counts, printed, tree)."""

    def run(files: dict[str, bytes], pack=None) -> tuple[dict, str, Path]:
        if pack:
            data = tmp_path / "mine.archive"
            data.write_bytes(pack(files))
        else:
            data = write_files(tmp_path / "mine", files)
        tree = download(make_settings(tmp_path / "home", data))
        return count_tree(tree), capsys.readouterr().out, tree

    return run


USUAL = place({"train": 5, "valid": 3})
FLAT = draw("train/cat.{}.png", 10) | draw("train/dog.{}.png", 5)
UNLABELLED = draw("test1/{}.png", 4)
LITTER = {
    "train/.ipynb_checkpoints/1.png": b"x", "train/cats/._1.png": b"x", "Thumbs.db": b"x",
    "__MACOSX/train/cats/._1.png": b"x", "train/@eaDir/1.png": b"x", "train/cats/Thumbs.db": b"x",
    "train/$RECYCLE.BIN/1.png": b"x", ".hidden/train/owls/1.png": b"x", "valid/desktop.ini": b"x",
}  # fmt: skip


def count(train, valid, names=("cats", "dogs")) -> dict:
    """Numbers of images, the same of each class or one of each."""
    numbers = [n if isinstance(n, tuple) else (n,) * len(names) for n in (train, valid)]
    parts = ("train", "valid")
    return {part: dict(zip(names, n, strict=True)) for part, n in zip(parts, numbers, strict=True)}


LAYOUTS = {
    "as the course has it": (USUAL, count(5, 3), "valid"),
    "validation": (place({"train": 5, "validation": 3}), count(5, 3), "validation → valid"),
    "val": (place({"train": 5, "val": 3}), count(5, 3), "val → valid"),
    "capitals": (place({"Training": 5, "Testing": 3}), count(5, 3), "Testing → valid"),
    "doubled": (
        place({"training_set/training_set": 5, "test_set/test_set": 3}),
        count(5, 3),
        "training_set → train",
    ),
    "prefixed": (
        place({"seg_train/seg_train": 5, "seg_test/seg_test": 3})
        | draw("seg_pred/seg_pred/{}.png", 4),
        count(5, 3),
        "ignored   seg_pred (4 images)",
    ),
    "years": (place({"train2017": 5, "val2017": 3}), count(5, 3), "val2017 → valid"),
    "one word": (place({"TrainSet": 5, "testdata": 3}), count(5, 3), "TrainSet → train"),
    "deep": (place({"a/b/train": 5, "a/b/valid": 3}), count(5, 3), "dataset"),
    "in images/": (place({"train/images": 5, "test/images": 3}), count(5, 3), "test → valid"),
    "below a class": (place({"train": 5, "valid": 3}, file="more/{}.png"), count(5, 3), "dataset"),
    "shallowest wins": (
        USUAL | place({"sample/train": 2, "sample/valid": 2}), count(5, 3), "ignored   sample"
    ),
    "three parts": (
        place({"train": 5, "valid": 3, "test": 2}),
        count(8, 2),
        "valid → train\ntaken     test → valid",
    ),
    "validation and test": (
        place({"train": 5, "validation": 3, "test": 2}), count(8, 2), "validation → train"
    ),
    "a test without classes": (
        USUAL | draw("test/{}.png", 4), count(5, 3), "ignored   test (4 images): not taken for"
    ),
    "a test of one unknown": (
        USUAL | draw("test/unknown/{}.png", 4), count(5, 3), "ignored   test (4 images)"
    ),
    "no split": (place({"PetImages": 10}), count(8, 2), "20% of each class, drawn at random"),
    "no split, bare": (
        draw("a/{}.png", 10) | draw("b/{}.png", 3), count((8, 2), (2, 1), "ab"), "a "
    ),
    "only train": (place({"x/train": 10}), count(8, 2), "drawn at random → valid"),
    "no split, test beside": (
        place({"pets": 10}) | draw("pets/test/{}.png", 4), count(8, 2), "ignored   test (4 images)"
    ),
    "class called train": (
        draw("bus/{}.png", 5) | draw("train/{}.png", 5), count(4, 1, ("bus", "train")), "bus"
    ),
    "class called test": (
        draw("control/{}.png", 5) | draw("test/{}.png", 5), count(4, 1, ("control", "test")), "c"
    ),
    "classes called nearly like parts": (
        place({"p": 5}, ("bus_stop", "test_tube", "toy_train", "train_station")),
        count(4, 1, ("bus_stop", "test_tube", "toy_train", "train_station")),
        "the folders of p → classes",
    ),
    "only such classes": (
        place({"p": 5}, ("train_station", "train_track")),
        count(4, 1, ("train_station", "train_track")),
        "the folders of p → classes",
    ),
    "a letter for each class": (
        place({".": 5}, ("trainA", "trainB")) | place({".": 3}, ("testA", "testB")),
        count(5, 3, ("A", "B")),
        "test → valid",
    ),
    "parts by themselves, as a cloud drive packs them": (
        place({"Train-20230101T120000Z-001/Train": 5, "Test-20230101T120000Z-001/Test": 3}),
        count(5, 3),
        "Test-20230101T120000Z-001 → valid",
    ),
    "a second train part": (
        place({"train": 5, "train_extra": 4, "test": 3}),
        count(5, 3),
        "ignored   train_extra (8 images): not taken for a part or a class",
    ),
    "names of several lines": (
        place({"p": 5}, ("a\nb", "c")), count(4, 1, ("a\nb", "c")), "\na b "
    ),
    "flat, numbers first": (
        {f"{n:03}_{k}.png": make_image(f"{n}{k}") for n in range(5) for k in ("cat", "dog")},
        count(4, 1, ("cat", "dog")),
        "the beginnings of the file names → classes",
    ),
    "flat": (
        FLAT | UNLABELLED, count((8, 4), (2, 1), ("cat", "dog")), "ignored   test1 (4 images)"
    ),
    "flat, both": (
        FLAT | draw("test/cat.{}.png", 2) | draw("test/dog.{}.png", 3),
        count((10, 5), (2, 3), ("cat", "dog")),
        "test → valid",
    ),
    "flat, numbered": (
        draw("images/great_dane_{:03}.png", 5) | draw("images/Siamese_{}.png", 5),
        count(4, 1, ("Siamese", "great_dane")),
        "the beginnings of the file names → classes",
    ),
    "flat, with annotations": (
        draw("images/pug_{}.png", 5) | draw("images/Siamese_{}.png", 5)
        | draw("annotations/trimaps/pug_{}.png", 5),
        count(4, 1, ("Siamese", "pug")),
        "classes",
    ),
    "flat, copies of Windows": (
        draw("cat ({}).png", 5) | draw("dog ({}).png", 5), count(4, 1, ("cat", "dog")), "classes"
    ),
    "hidden and litter": (USUAL | LITTER, count(5, 3), "dataset"),
    "capitals differ": (
        place({"train": 5}, ("Cat", "Dog")) | place({"valid": 3}, ("cat", "Dog")),
        count(5, 3, ("Cat", "Dog")),
        "cat and Cat → one class, Cat",
    ),
    "twins": (
        place({"p": 5}, ("Cat", "cat", "dog")),
        count((8, 4), (2, 1), ("Cat", "dog")),
        "cat and Cat → one class, Cat",
    ),
    "accents of two kinds": (
        place({"train": 5}, (unicodedata.normalize("NFC", "café"), "thé"))
        | place({"valid": 3}, (unicodedata.normalize("NFD", "café"), "thé")),
        count(5, 3, (unicodedata.normalize("NFC", "café"), "thé")),
        "one class",
    ),
    "strange names": (
        place({"Lea's [v2] #3 100%/train": 5, "Lea's [v2] #3 100%/valid": 3}, ("$$ 50% off", "猫")),
        count(5, 3, ("$$ 50% off", "猫")),
        "$$ 50% off",
    ),
    "many classes": (
        place({"train": 4, "valid": 1}, [f"breed_{n:02}" for n in range(37)]),
        count(4, 1, [f"breed_{n:02}" for n in range(37)]),
        "… 27 more",
    ),
    "imbalance": (
        USUAL | draw("train/cats/more/{}.png", 50), count((55, 5), 3), "Note: 5 images of dogs to"
    ),
    "class first": (
        draw("cats/train/{}.png", 5) | draw("cats/test/{}.png", 3) | draw("dogs/Train/{}.png", 5)
        | draw("dogs/Test/{}.png", 3),
        count(5, 3),
        "test → valid",
    ),
    "part and class in one name": (
        place({".": 5}, ("train_cats", "train_dogs")) | place({".": 3}, ("val_cats", "val_dogs")),
        count(5, 3),
        "dataset",
    ),
    "of detectors": (
        draw("train/images/cat_{}.png", 5) | draw("train/images/dog_{}.png", 5)
        | {"train/labels/cat_0.txt": b"0 .5"} | draw("valid/images/cat_{}.png", 3)
        | draw("valid/images/dog_{}.png", 3),
        count(5, 3, ("cat", "dog")),
        "labels is no file, or a folder that is not looked into",
    ),
    "masks": (
        place({"p": 5}, ("flu", "well"), "images/{}.png")
        | place({"p": 5}, ("flu", "well"), "masks/{}.png"),
        count(4, 1, ("flu", "well")),
        "p/flu/masks is no file, or a folder",
    ),
    "class called masks": (
        place({"p": 5}, ("masks", "none")), count(4, 1, ("masks", "none")), "the folders of p"
    ),
    "unlabelled beside": (
        place({"pets": 5}) | draw("pets/unlabeled/{}.png", 4), count(4, 1), "ignored   unlabeled"
    ),
    "two rounds": (
        place({"fold_1/train": 5, "fold_1/val": 3, "fold_2/train": 4, "fold_2/val": 4}),
        count(5, 3),
        "fold_2/train/cats/0.png is in no class",
    ),
    "numbers": (
        place({"train": 5, "test": 3}, ("0", "10")), count(5, 3, ("0", "10")), "test → valid"
    ),
    "very long": (
        place({"train": 5, "valid": 3}, ("c" * 250, "é" * 127), "n" * 247 + "{}.png")
        | draw("train/" + "c" * 250 + "/" + "n" * 250 + "{}.jpg", 1),
        count((6, 5), 3, ("c" * 250, "é" * 127)),
        "dataset",
    ),
    "endings": (
        USUAL | draw("train/cats/{}.JFIF", 2) | draw("train/dogs/{}", 2)
        | draw("valid/dogs/{}.png_1", 1),
        count(7, (3, 4)),
        "dataset",
    ),
}  # fmt: skip


def skip_where_capitals_are_unknown(name: str) -> None:
    if name == "twins" and Path(__file__.upper()).exists():
        pytest.skip("on this disk Cat and cat are one folder")


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("pack", [None, pack_tar, pack_zip], ids=["folder", "tgz", "zip"])
def test_layout(name: str, pack, prepare) -> None:
    skip_where_capitals_are_unknown(name)
    files, expected, sentence = LAYOUTS[name]
    counts, printed, tree = prepare(files, pack)
    assert counts == expected
    assert sentence in printed and "valid (the test set)" in printed
    assert sorted(path.name for path in tree.iterdir()) == [".complete.json", "train", "valid"]
    originals = set(files.values())
    assert all(path.read_bytes() in originals for path in tree.glob("*/*/*.png"))


UNCLEAR = {
    "it has no images: make it train/<class>": {"notes/a.txt": b"x"},
    "it has itself .3 images.: make it": draw("IMG_{}.png", 3),
    "it has cats .5 images.: make it .*or one folder of images for each class": draw(
        "cats/{}.png", 5
    ),
    "it has train/cats .5 images., valid/cats .3 images.": place(
        {"train": 5, "valid": 3}, ("cats",)
    ),
    "it has test/cats .3 images., test/dogs .*, val/dogs .3 images.": place({"val": 3, "test": 3}),
    "'owls' of .* has 0 images to train on and 1 to test on": USUAL | draw("valid/owls/{}.png", 1),
    "'owls' of .* has 5 images to train on and 0 to test": USUAL | draw("train/owls/{}.png", 5),
    "'owls' of .* has 0 images to train on and 0 ": USUAL | {"train/owls/a.txt": b"x"},
    "'owls' of .* has 1 image to train on and 3 ": USUAL
    | draw("train/owls/{}.png", 1)
    | draw("valid/owls/{}.png", 3),
    "'owls' .* has 1 .* and 1 to test on: add some, to at least 2 and 1, or": place({"p": 5})
    | draw("p/owls/{}.png", 2),
    "'owls' .* .3 files left out, first: p/owls/0.png is empty": place({"p": 5})
    | {f"p/owls/{n}.png": b"" for n in range(3)},
}


UNCLEAR |= {
    "it has Ann/cats .5 images., .*: make it train": place({"Ann": 5, "Bob": 5}),
    "it has Testdaten/cats .3 images., .*Trainingsdaten/dogs": place(
        {"Trainingsdaten": 5, "Testdaten": 3}
    ),
    "has 6 images of 3 classes to train on: .* set 30% aside .*have 4 or more of each": place(
        {"train": 2, "valid": 1}, ("cats", "dogs", "owls")
    ),
}


@pytest.mark.parametrize("sentence", UNCLEAR)
@pytest.mark.parametrize("pack", [None, pack_tar], ids=["folder", "archive"])
def test_unclear_or_too_few(sentence: str, pack, prepare, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=sentence) as caught:
        prepare(UNCLEAR[sentence], pack)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert "The archive" in str(caught.value) or str(tmp_path / "mine") in str(caught.value)
    assert not list((tmp_path / "home" / "datasets").iterdir())


def test_archives_in_archives(prepare) -> None:
    """Kaggle's download as it comes, and that once more in a folder."""
    inner = {"train.zip": pack_zip(FLAT), "test1.zip": pack_zip(UNLABELLED), "ids.csv": b"id,label"}
    expected = count((8, 4), (2, 1), ("cat", "dog"))
    assert prepare(inner, pack_zip)[0] == expected
    counts, printed, _ = prepare({"dogs-vs-cats.zip": pack_zip(inner)})
    assert counts == expected and "ignored   test1 (4 images)" in printed


def test_an_archive_beside_the_images_is_not_opened(prepare) -> None:
    counts, printed, _ = prepare(USUAL | {"all.zip": pack_zip(USUAL)})
    assert counts == count(5, 3) and "left out" not in printed


def test_what_cannot_be_read_is_left_out_counted_and_named(prepare, tmp_path: Path) -> None:
    bad = {
        "train/cats/empty.jpg": b"",
        "train/cats/phone.HEIC": HEIC,
        "train/dogs/cut.png": make_image(1)[:-200],
        "valid/dogs/film.mp4": b"\0\0\0\x18ftypmp42",
        "valid/dogs/page.jpg": b"<html>",
        "README.md": b"# not worth a word",
    }
    (tmp_path / "mine" / "train" / "cats").mkdir(parents=True)
    (tmp_path / "mine" / "train" / "cats" / "gone.jpg").symlink_to("../nowhere.jpg")
    os.mkfifo(tmp_path / "mine" / "train" / "cats" / "pipe.jpg")
    counts, printed, _ = prepare(USUAL | bad)
    assert counts == count(5, 3) and "left out  7 files" in printed and "README" not in printed
    for sentence in (
        "  train/cats/empty.jpg is empty: copy or save it again",
        "  train/cats/phone.HEIC is a photograph of the kind HEIC, which Pillow cannot read",
        "  train/cats/gone.jpg is missing, or a link that leads nowhere",
        "  train/dogs/cut.png cannot be read as an image",
        "  valid/dogs/page.jpg is no image of a kind",
        "  valid/dogs/film.mp4 is no image of a kind",
        "  train/cats/pipe.jpg is no file",
    ):
        assert sentence in printed


def test_stray_images_are_named_and_are_no_class(prepare) -> None:
    strays = draw("cover.png", 1) | draw("PetImages/logo.png", 1) | draw("PetImages/owls/a.txt", 1)
    counts, printed, _ = prepare(place({"PetImages": 15}) | strays)
    assert counts == count(12, 3) and "ignored   owls (0 images)" in printed
    assert "  cover.png is in no class" in printed and "PetImages/logo.png is" in printed


def test_a_damaged_archive_in_an_archive_is_named(prepare, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="mine.archive/data/train.zip is damaged"):
        prepare({"data/train.zip": pack_zip(FLAT)[:-50]}, pack_zip)


def test_of_many_only_the_first_ten_are_named(prepare) -> None:
    printed = prepare(USUAL | {f"train/cats/x{n:02}.jpg": b"" for n in range(25)})[1]
    assert "left out  25 files" in printed and "  and 15 more" in printed
    assert "x09.jpg" in printed and "x10.jpg" not in printed


def test_a_folder_that_may_not_be_read_is_left_out(
    prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.listdir

    def listdir(path) -> list[str]:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    counts, printed, _ = prepare(USUAL | draw("secret/{}.png", 2))
    assert counts == count(5, 3) and "  secret is no file, or a folder that" in printed
    with pytest.raises(CourseError, match="secret cannot be read .Permission denied.: allow"):
        download(make_settings(tmp_path / "home", tmp_path / "mine" / "secret"))


RED, HALF = Image.new("RGB", (40, 20), "red"), np.repeat([[0, 255]], 20, 1).repeat(20, 0)
GREY = Image.fromarray(HALF.astype(np.uint8))
TURNED = Image.Exif()
TURNED[0x0112] = 6
NO_KIND = "is no image of a kind"
# What a file holds → the mean of its copy or link in the tree, or the sentence for leaving it out.
KINDS = {
    "animated.webp": (save(RED, "WEBP", save_all=True, append_images=[RED.rotate(9)]), 85),
    "animated.gif": (save(RED, "GIF", save_all=True, append_images=[RED.rotate(9)]), 85),
    "several.mpo": (save(RED, "MPO", save_all=True, append_images=[RED]), 85),
    "bilevel.tif": (save(GREY.convert("1"), "TIFF", compression="group4"), 127.5),
    "bilevel.png": (save(GREY.convert("1"), "PNG"), 127.5),
    "turned.jpg": (save(RED, "JPEG", exif=TURNED), 85),
    "cmyk.jpg": (save(Image.new("CMYK", (40, 20), (0, 255, 255, 0)), "JPEG"), 85),
    "clear.png": (save(Image.new("RGBA", (40, 20), (0, 0, 0, 0)), "PNG"), 255),
    "palette.png": (save(GREY.convert("P"), "PNG", transparency=0), 255),
    "grey16.png": (save(Image.fromarray((HALF * 257).astype(np.uint16)), "PNG"), 127.5),
    "grey12.tif": (save(Image.fromarray((HALF * 16).astype(np.uint16)), "TIFF"), 127.5),
    "float.tif": (save(Image.fromarray((HALF / 255).astype(np.float32)), "TIFF"), 127.5),
    "deep.pgm": (b"P5\n2 2\n65535\n" + b"\x80\0" * 4, 128),
    "profile.png": (save(RED, "PNG", icc_profile=b"no profile at all"), 85),
    "jpeg2000.jp2": (save(RED, "JPEG2000"), 85),
    "jpeg2000.jpg": (save(RED, "JPEG2000"), 85),
    "line.png": (save(Image.new("RGB", (40_000, 2), "red"), "PNG"), 85),
    "animated.png": (save(RED, "PNG", save_all=True, append_images=[RED.rotate(9)]), 85),
    "pages.tif": (save(RED, "TIFF", save_all=True, append_images=[GREY.convert("RGB")]), 85),
    "webp.jpg": (save(RED, "WEBP"), 85),
    "bits.pbm": (save(Image.new("1", (40, 20), 1), "PPM"), 255),
    "jpeg2000": (save(RED, "JPEG2000"), "is an image and not called one: rename it"),
    "no_ending": (save(RED, "PNG"), 85),
    "photo.jpg_large": (save(RED, "JPEG"), 85),
    "~$photo.jpg": (save(RED, "JPEG"), 85),
    "empty.jpg": (b"", "is empty: copy"),
    "placeholder.jpg": (bytes(4096), "is empty: .*cloud drive"),
    "text.jpg": (b"a text", NO_KIND),
    "page.png": ("\ufeff<html>".encode(), NO_KIND),
    "raw.CR2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(200), NO_KIND),
    "layers.psd": (b"8BPS\0\1" + bytes(100), NO_KIND),
    "film.mp4": (b"\0\0\0\x18ftypmp42", NO_KIND),
    "phone.heic": (HEIC, "HEIC, which Pillow cannot read: save it as JPEG"),
    "cut.jpg": (save(RED, "JPEG")[:-99], "cannot be read as an image"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_is_read_or_named(name: str, prepare) -> None:
    content, expected = KINDS[name]
    counts, printed, tree = prepare(USUAL | {f"train/cats/{name}": content})
    if isinstance(expected, str):
        assert counts == count(5, 3) and "left out  1 file" in printed
        assert re.search(f"  train/cats/{re.escape(name)} .*{expected}", printed)
        return
    assert counts == count((6, 5), 3) and "left out" not in printed
    (new,) = set(list_files(tree)) - set(USUAL) - {".complete.json"}
    with Image.open(tree / new) as image:  # as plain ImageFolder does
        assert abs(np.asarray(image.convert("RGB")).mean() - expected) < 2


def pack_with_password(files: dict[str, bytes]) -> bytes:
    """A zip that says of each of its members that it is encrypted."""
    packed = bytearray(pack_zip(files))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(mark, bytes(packed)):
            packed[found.start() + flags] |= 1
    return bytes(packed)


def pack_links(files: dict[str, bytes]) -> bytes:
    """A tar with a link to a neighbour, which is no second image, and a hard one, which is."""
    members = []
    for name, kind, leads in (("1", tarfile.SYMTYPE, "0.png"), ("2", tarfile.LNKTYPE, FIRST)):
        info = tarfile.TarInfo(f"train/cats/link{name}.png")
        info.type, info.linkname = kind, leads
        members.append(info)
    return pack_tar(files, tuple(members))


FIRST = "train/cats/0.png"
LONG = {f"train/cats/{'n' * 300}.png": b"x"}
ARCHIVES = {
    "links": (pack_links, USUAL, count((6, 5), 3), "left out  1 file:\n  train/cats/link1.png in"),
    "long names": (pack_zip, USUAL | LONG, count(5, 3), "n in the archive is a link, or too long"),
    "zip in a tar": (pack_tar, {"a/all.zip": pack_zip(USUAL)}, count(5, 3), "dataset"),
    "tars in a zip": (
        pack_zip,
        {f"{part}.tar.xz": pack_tar({k: v for k, v in USUAL.items() if part in k}, mode="w:xz")
         for part in ("train", "valid")},
        count(5, 3),
        "dataset",
    ),
    "twins": (
        pack_zip, place({"p": 5}, ("Cat", "cat", "dog")), count((8, 4), (2, 1), ("Cat", "dog")),
        "cat and Cat → one class",
    ),
    "three deep": (
        pack_zip, {"a.zip": pack_zip({"b.zip": pack_zip({"c.zip": pack_zip(USUAL)})})},
        count(5, 3), "dataset",
    ),
    "password": (pack_with_password, USUAL, None, "it has a password.: set COURSE_DATA"),
    "seven zip": (lambda _: b"7z\xbc\xaf\x27\x1c", {}, None, "it is a 7z archive"),
    "new": (lambda _: b"\x28\xb5\x2f\xfd" + bytes(99), {}, None, "it is a Zstandard archive"),
    "image": (lambda _: save(RED, "JPEG"), {}, None, "it is a single image"),
    "json": (lambda _: b'{"error": 1}', {}, None, "does not begin like a .zip, .tar, .tar.gz"),
    "no name fits": (pack_zip, LONG, None, "1 file of it cannot be unpacked. is in .*no images"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_as_people_have_them(name: str, prepare) -> None:
    skip_where_capitals_are_unknown(name)
    pack, files, expected, sentence = ARCHIVES[name]
    if expected is None:
        with pytest.raises(CourseError, match=sentence):
            prepare(files, pack)
    else:
        counts, printed, _ = prepare(files, pack)
        assert counts == expected and sentence in printed


def is_plain_name(name: str) -> bool:
    """Whether a folder may be called so, and is taken for a class then."""
    special = name in (".", "..", *SIDE_FOLDERS) or is_hidden(name) or find_part(name)
    return not special and len(os.fsencode(name)) < 99


PART_NAMES = {"train": ("train", "Train", "TRAINING", "seg_train", "train2017", "training_set")}
PART_NAMES["valid"] = ("valid", "Test", "validation", "val", "seg_test", "test_images", "dev")
CLASS_NAME = st.one_of(
    st.sampled_from(["$1 or $2^", "<b>", "_x", "Lea's", "10", "a b", "猫", "-rf", "%s {} %", "~"]),
    st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/"), min_size=1),
).filter(is_plain_name)
CONTENTS = {k: v for k, (v, _) in KINDS.items()} | {f"{n}.png": make_image(n) for n in range(9)}


@pytest.mark.slow
@given(
    classes=st.lists(CLASS_NAME, min_size=2, max_size=4, unique_by=simplify),
    names=st.tuples(*(st.sampled_from(PART_NAMES[part]) for part in FEWEST)),
    nesting=st.tuples(st.sampled_from(["", "a/", "my data/v1.0/"]), st.sampled_from(["", "x/y/"])),
    extras=st.lists(st.sampled_from(sorted(CONTENTS)), max_size=6),
    form=st.sampled_from(["split", "class first", "no split", "flat"]),
)
def test_any_layout_names_and_kinds(classes, names, nesting, extras, form) -> None:
    """Each image is in its class and part once, or in the table of what was left out."""
    files, expected = {}, {}
    above, below = nesting
    flat = [f"kind {chr(97 + n)}" for n in range(len(classes))]
    for number, name in enumerate(flat if form == "flat" else classes):
        for part, part_name in zip(FEWEST, names, strict=True):
            folder = {
                "split": f"{above}{part_name}/{name}/{below}",
                "class first": f"{above}{name}/{part_name}/",
                "no split": f"{above}pets/{name}/{below}",
                "flat": f"{above}{part_name}/{name}.",
            }[form]
            for row in range(4 + number):
                own = f"{row}.png" if form == "flat" else f"{part}{row}.png"
                files[folder + own] = make_image(f"{name}{part}{row}")
        if form == "no split":
            expected[name] = 8 + 2 * number - max(1, round(0.2 * (8 + 2 * number)))
        else:
            expected[name] = 4 + number
    bad = 0
    if form != "flat":
        folder = min(files).rpartition("/")[0]
        files |= {f"{folder}/{extra}": CONTENTS[extra] for extra in extras}
        bad = len({extra for extra in extras if isinstance(KINDS.get(extra, [0, 0])[1], str)})
    with tempfile.TemporaryDirectory() as temporary, redirect_stdout(StringIO()) as printed:
        write_files(Path(temporary) / "mine", files)
        tree = download(make_settings(Path(temporary) / "home", Path(temporary) / "mine"))
        found = count_tree(tree)
    assert set(found["train"]) == set(found["valid"]) == set(expected)
    if not extras or form == "flat":
        assert found["train"] == expected
    assert sum(sum(part.values()) for part in found.values()) == len(files) - bad
    assert (f"left out  {bad} file" in printed.getvalue()) == bool(bad)


def test_a_class_of_nothing_but_gifs(prepare) -> None:
    gif = save(Image.new("P", (40, 20)), "GIF")
    files = USUAL | {f"{p}/memes/{n}.gif": gif for p in ("train", "valid") for n in range(3)}
    assert prepare(files)[0]["train"]["memes"] == 3


def test_large_photographs_are_made_smaller_once_and_stay_upright(prepare, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter, as a phone held upright writes it
    wide, tall = Image.new("RGB", (2400, 1600)), Image.new("RGB", (2400, 1600), "red")
    files = USUAL | {
        "train/cats/wide.jpg": save(wide, "JPEG"),
        "train/cats/tall.jpg": save(tall, "JPEG", exif=exif),
    }
    _, printed, tree = prepare(files)
    assert "converted 2 files to plain RGB, large ones to fewer pixels" in printed
    for name, size in (("wide", (1536, 1024)), ("tall", (1024, 1536))):
        with Image.open(tree / "train" / "cats" / f"{name}.jpg") as image:
            assert image.size == size
    assert list_files(tmp_path / "mine") == files


def test_two_files_of_one_name_are_both_kept(prepare) -> None:
    files = place({"train": 5, "valid": 3, "test": 2}) | draw("train/cats/{}.PNG", 5)
    assert prepare(files)[0] == count((13, 8), 2)


@pytest.mark.parametrize("links", ["hard", "symbolic", "none"])
def test_a_folder_is_never_written_to_and_good_files_are_linked(
    links: str, prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("utils.download.prepare.LINKS", LINKS[links])
    counts, _, tree = prepare(USUAL)
    assert counts == count(5, 3) and list_files(tmp_path / "mine") == USUAL
    first, second = (
        tree / "train" / "cats" / "0.png",
        tmp_path / "mine" / "train" / "cats" / "0.png",
    )
    assert os.path.samefile(first, second) is (links != "none")
    assert first.is_symlink() is (links == "symbolic")


LINKS = {"hard": (os.link,), "symbolic": (os.symlink,), "none": (shutil.copy2,)}


def test_an_unpacked_archive_leaves_no_dangling_links(
    prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_) -> None:
        raise OSError("a disk without links")

    monkeypatch.setattr(os, "link", refuse)
    counts, _, tree = prepare(USUAL, pack_tar)
    assert counts == count(5, 3) and not any(path.is_symlink() for path in tree.rglob("*"))


def test_a_tree_is_found_again_until_something_changes(prepare, tmp_path: Path) -> None:
    _, printed, tree = prepare(USUAL)
    before = tree.stat().st_ino
    assert prepare({})[1] == printed and tree.stat().st_ino == before
    (tmp_path / "mine" / "train" / "cats" / "0.png").unlink()
    assert prepare({})[0] == count((4, 5), 3)
    assert prepare(draw("valid/dogs/new{}.png", 1))[0] == count((4, 5), (3, 4))
    path = tmp_path / "mine" / "valid" / "dogs" / "0.png"
    path.write_bytes(make_image("another"))  # of about the same size
    os.utime(path, ns=(1, 1))
    assert (prepare({})[2] / "valid" / "dogs" / "0.png").read_bytes() == make_image("another")


def test_an_archive_is_prepared_again_when_it_changes(tmp_path: Path) -> None:
    archive, settings = (
        tmp_path / "mine.zip",
        make_settings(tmp_path / "home", tmp_path / "mine.zip"),
    )
    for train in (4, 6):
        archive.write_bytes(pack_zip(make_images(train=train)))
        assert count_tree(download(settings))["train"]["cats"] == train
    assert archive.exists()
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(CourseError):
        download(settings)
    (tree,) = (tmp_path / "home" / "datasets").iterdir()  # as it was
    assert count_tree(tree)["train"]["cats"] == 6


def test_the_split_is_the_same_every_time(tmp_path: Path) -> None:
    mine = write_files(tmp_path / "mine", place({"p": 10}))
    first, second = (
        sorted(list_files(download(make_settings(tmp_path / home, mine)) / "valid"))
        for home in ("a", "b")
    )
    assert first == second and len(first) == 4


def test_a_folder_around_the_course_s_own(tmp_path: Path) -> None:
    """COURSE_DATA=. with COURSE_HOME below it: what was prepared is not looked into."""
    write_files(tmp_path, USUAL)
    settings = make_settings(tmp_path / "home", tmp_path)
    for _ in range(2):
        assert count_tree(download(settings)) == count(5, 3)
    (tmp_path / "train" / "loop").symlink_to(tmp_path)
    assert count_tree(download(settings)) == count(5, 3)
