"""People's own images, as they lie about: the tree made of them, its table, or one sentence."""

import io
import os
import shutil
import unicodedata
from pathlib import Path

import pytest
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
        USUAL | draw("test/{}.png", 4), count(5, 3), "ignored   test (4 images): no classes"
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
    "endings": (
        USUAL | draw("train/cats/{}.JFIF", 2) | draw("train/dogs/{}", 2)
        | draw("valid/dogs/{}.png_1", 1),
        count(7, (3, 4)),
        "dataset",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("pack", [None, pack_tar, pack_zip], ids=["folder", "tgz", "zip"])
def test_layout(name: str, pack, prepare) -> None:
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
    "'owls' of .* has 1 images to train on and 3 ": USUAL
    | draw("train/owls/{}.png", 1)
    | draw("valid/owls/{}.png", 3),
    "'owls' .* has 1 .* and 1 to test on: put at least 2 and 1": place({"p": 5})
    | draw("p/owls/{}.png", 2),
    "'owls' .* .3 files left out, first: p/owls/0.png is empty": place({"p": 5})
    | {f"p/owls/{n}.png": b"" for n in range(3)},
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


def test_converted_copies(prepare) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = {
        "turned.jpg": save(Image.new("RGB", (40, 20), "red"), "JPEG", exif=exif),
        "cmyk.jpg": save(Image.new("CMYK", (40, 20), (0, 255, 255, 0)), "JPEG"),
        "clear.png": save(Image.new("RGBA", (40, 20), (0, 0, 0, 0)), "PNG"),
        "deep.tif": save(Image.new("I;16", (40, 20), 32_768), "TIFF"),
        "float.tif": save(Image.new("F", (40, 20), 0.5), "TIFF"),
        "film.gif": save(Image.new("P", (40, 20)), "GIF"),
        "line.png": save(Image.new("RGB", (40_000, 2), "red"), "PNG"),
    }
    counts, printed, tree = prepare(USUAL | {f"train/cats/{k}": v for k, v in kinds.items()})
    assert counts == count((12, 5), 3) and "converted 7 copies" in printed
    found = {path.name: Image.open(path) for path in (tree / "train" / "cats").iterdir()}
    assert {"turned.jpg", "cmyk.jpg", "deep.tif.png", "film.gif.png"} < set(found)
    assert all(image.mode == "RGB" for image in found.values())
    assert found["turned.jpg"].size == (20, 40) and found["line.png"].size == (16, 2)
    assert found["clear.png"].getpixel((5, 5)) == (255, 255, 255)
    assert found["deep.tif.png"].getpixel((5, 5)) == (128, 128, 128)
    assert found["cmyk.jpg"].getpixel((5, 5))[0] > 240


def test_a_class_of_nothing_but_gifs(prepare) -> None:
    gif = save(Image.new("P", (40, 20)), "GIF")
    files = USUAL | {f"{p}/memes/{n}.gif": gif for p in ("train", "valid") for n in range(3)}
    assert prepare(files)[0]["train"]["memes"] == 3


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
