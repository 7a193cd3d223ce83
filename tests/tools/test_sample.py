"""The drawn sample: complete, reproducible, and told apart by shape alone."""

import csv
import hashlib
import io
import tarfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tools.sample import pets
from utils.download.sources import SOURCES
from utils.settings import CourseError

COUNTS = {"train": 200, "valid": 150}
NAMES = {
    part: [f"{part}/{s}/{s[:-1]}.{index}.jpg" for s in pets.SPECIES for index in range(count)]
    for part, count in COUNTS.items()
}


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    """Name and bytes of everything in the committed archive."""
    with tarfile.open(pets.ARCHIVE) as archive:
        return {
            member.name.removeprefix("dogscats/"): archive.extractfile(member).read()
            for member in archive
        }


@pytest.fixture(scope="module")
def collars(members) -> dict[str, int]:
    """File name to 1 where the pet wears a collar, else 0."""
    table = io.StringIO(members["collars.csv"].decode("ascii"))
    return {row["file"]: int(row["collar"]) for row in csv.DictReader(table)}


@pytest.fixture(scope="module")
def pixels(members) -> dict[str, np.ndarray]:
    """Part to drawings (n, 256, 256, 3), cats first."""
    return {
        part: np.stack([np.asarray(Image.open(io.BytesIO(members[name]))) for name in names])
        for part, names in NAMES.items()
    }


def classify(features: dict[str, np.ndarray], strength: float = 1.0) -> float:
    """Test accuracy of a logistic regression on features (n, d) per part, cats first."""
    labels = {part: np.repeat([0, 1], count) for part, count in COUNTS.items()}
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
    model.fit(features["train"], labels["train"])
    return model.score(features["valid"], labels["valid"])


def shrink(drawings: np.ndarray, side: int) -> np.ndarray:
    """Thumbnails (n, side · side · 3): means over squares."""
    step = drawings.shape[1] // side
    return drawings.reshape(-1, side, step, side, step, 3).mean((2, 4)).reshape(len(drawings), -1)


# -- complete


def test_archive_holds_the_drawings_and_the_table_of_collars(members):
    assert set(members) == {"collars.csv", *NAMES["train"], *NAMES["valid"]}
    assert len({hashlib.sha256(content).digest() for content in members.values()}) == 701


def test_download_expects_this_archive():
    content = pets.ARCHIVE.read_bytes()
    source = SOURCES["sample"]
    assert (source.size, source.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_archive_tells_nothing_about_who_drew_it_when():
    with open(pets.ARCHIVE, "rb") as file:
        header = file.read(10)
    assert header[3] == 0 and header[4:8] == bytes(4)  # no file name, no time
    with tarfile.open(pets.ARCHIVE) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(e.mtime, e.uid, e.gid, e.uname, e.gname) for e in entries} == {(0, 0, 0, "", "")}


@pytest.mark.slow
def test_every_drawing_is_a_complete_colour_image_of_256_pixels(members, pixels):
    for part, count in COUNTS.items():
        assert pixels[part].shape == (2 * count, 256, 256, 3)
        assert pixels[part].std((1, 2, 3)).min() > 10  # none is empty
    tables = set()
    for name in NAMES["valid"]:
        with Image.open(io.BytesIO(members[name])) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            tables.add(str(image.quantization))
    assert len(tables) == 1  # one quality for both classes


# -- collars


def test_every_drawing_has_its_line_in_the_table_of_collars(collars):
    assert set(collars) == {*NAMES["train"], *NAMES["valid"]}
    assert set(collars.values()) == {0, 1}


def test_collars_are_as_frequent_on_cats_as_on_dogs(collars):
    counts = Counter(name.rsplit("/", 1)[0] for name, collar in collars.items() if collar)
    assert counts == {"train/cats": 78, "train/dogs": 78, "valid/cats": 59, "valid/dogs": 58}


def test_collars_of_the_table_are_those_that_are_drawn(collars):
    for part, species, index in (("train", "cats", 0), ("train", "cats", 1), ("valid", "dogs", 2)):
        seed = [pets.SEED, pets.PARTS.index(part), pets.SPECIES.index(species), index]
        pet, *_ = pets._pose(species, np.random.default_rng(seed), 64)
        drawn = any(blob.part == "collar" for blob in pet.blobs)
        assert drawn == collars[f"{part}/{species}/{species[:-1]}.{index}.jpg"]


# -- reproducible


def test_redrawn_members_are_those_of_the_archive(members, collars):
    with tarfile.open(pets.ARCHIVE) as archive:
        software = archive.pax_headers["comment"]
    for part, species in (("train", "cats"), ("valid", "dogs")):
        name, content, collar = pets.draw_member((pets.SEED, part, species, 0))
        ours, theirs = (
            np.asarray(Image.open(io.BytesIO(c)), float) for c in (content, members[name])
        )
        assert np.abs(ours - theirs).mean() < 2, f"{name} is not what the code draws"
        assert collar == collars[name]
        if software == pets.describe_software():
            assert content == members[name], name
    if software != pets.describe_software():
        pytest.skip(f"bytes not compared: drawn with {software}, not {pets.describe_software()}")


@pytest.mark.slow
def test_same_seed_same_bytes_whatever_is_drawn_beside(tmp_path):
    for name, seed, test_per_class in (("a", 3, 1), ("b", 3, 1), ("c", 4, 1), ("d", 3, 2)):
        pets.write_archive(
            tmp_path / name, seed=seed, train_per_class=1, test_per_class=test_per_class
        )
    first, second, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second
    assert first != other
    with tarfile.open(tmp_path / "a") as small, tarfile.open(tmp_path / "d") as large:
        for name in set(small.getnames()) - {"dogscats/collars.csv"}:
            assert small.extractfile(name).read() == large.extractfile(name).read()
    assert sorted(path.name for path in tmp_path.iterdir()) == list("abcd")


def test_a_drawing_depends_on_its_generator_and_species_only():
    first, again, other, dog = (
        pets.draw_pet(species, np.random.default_rng(seed), size=64)[0].tobytes()
        for species, seed in (("cats", 1), ("cats", 1), ("cats", 2), ("dogs", 1))
    )
    assert first == again
    assert len({first, other, dog}) == 3


def test_another_species_is_refused():
    with pytest.raises(CourseError, match="'cats' or 'dogs'"):
        pets.draw_pet("birds", np.random.default_rng(0))


# -- told apart by shape alone


@pytest.mark.slow
def test_mean_colour_tells_nothing(pixels):
    assert classify({part: pixels[part].mean((1, 2)) for part in COUNTS}) <= 0.60


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0.001, 1.0])
def test_thumbnails_tell_little(pixels, strength):
    assert classify({part: shrink(pixels[part], 16) for part in COUNTS}, strength) <= 0.70


@pytest.mark.slow
def test_colour_statistics_and_file_sizes_tell_little(members, pixels):
    features = {
        part: np.column_stack(
            [
                [len(members[name]) for name in NAMES[part]],
                pixels[part].mean((1, 2)),
                pixels[part].std((1, 2)),
            ]
        )
        for part in COUNTS
    }
    assert classify(features) <= 0.65


@pytest.mark.slow
def test_the_shortcut_tests_would_notice_a_leak(pixels):
    tinted = {part: pixels[part].mean((1, 2)) for part in COUNTS}
    for part, count in COUNTS.items():
        tinted[part][count:, 0] += 40  # dogs a little redder
    assert classify(tinted) > 0.60
