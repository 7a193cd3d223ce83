"""The drawn sample: complete, reproducible, and told apart by shape alone."""

import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from utils.errors import CourseError
from utils.sample_pets import (
    ARCHIVE,
    PARTS,
    SEED,
    SPECIES,
    describe_software,
    draw_member,
    draw_pet,
    write_archive,
)

COUNTS = {"train": 200, "valid": 150}


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    """Name and bytes of every drawing in the committed archive."""
    with tarfile.open(ARCHIVE) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


@pytest.fixture(scope="module")
def pixels(members) -> dict[str, np.ndarray]:
    """Part to drawings (n, 256, 256, 3), cats first."""
    return {part: np.stack([np.asarray(Image.open(io.BytesIO(members[name_drawing(part, s, k)])))
                            for s in SPECIES for k in range(COUNTS[part])]) for part in PARTS}


def name_drawing(part: str, species: str, index: int) -> str:
    return f"dogscats/{part}/{species}/{species[:-1]}.{index}.jpg"


def classify(features: dict[str, np.ndarray], strength: float = 1.0) -> float:
    """Test accuracy of a logistic regression on features (n, d) per part, cats first."""
    labels = {part: np.repeat([0, 1], COUNTS[part]) for part in PARTS}
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
    model.fit(features["train"], labels["train"])
    return model.score(features["valid"], labels["valid"])


def shrink(drawings: np.ndarray, side: int) -> np.ndarray:
    """Thumbnails (n, side · side · 3): means over squares."""
    step = drawings.shape[1] // side
    return drawings.reshape(-1, side, step, side, step, 3).mean((2, 4)).reshape(len(drawings), -1)


def describe_colours(drawings: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each channel: (n, 6)."""
    return np.concatenate([drawings.mean((1, 2)), drawings.std((1, 2))], 1)


# -- complete

def test_archive_is_laid_out_like_the_real_one(members):
    assert set(members) == {name_drawing(part, species, index) for part in PARTS
                            for species in SPECIES for index in range(COUNTS[part])}
    assert ARCHIVE.stat().st_size <= 8_000_000


def test_archive_tells_nothing_about_who_drew_it_when():
    with open(ARCHIVE, "rb") as file:
        header = file.read(10)
    assert header[3] == 0 and header[4:8] == bytes(4)       # no file name, no time
    with tarfile.open(ARCHIVE) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(e.mtime, e.uid, e.gid, e.uname, e.gname) for e in entries} == {(0, 0, 0, "", "")}
    assert all(entry.isfile() for entry in entries)


def test_every_drawing_is_a_complete_colour_picture_of_256_pixels(members, pixels):
    for part in PARTS:
        assert pixels[part].shape == (2 * COUNTS[part], 256, 256, 3)
        assert pixels[part].std((1, 2, 3)).min() > 10       # none is empty
    tables = set()
    for content in members.values():
        with Image.open(io.BytesIO(content)) as picture:
            assert (picture.format, picture.mode) == ("JPEG", "RGB")
            tables.add(str(picture.quantization))
    assert len(tables) == 1                                 # one quality for both classes


def test_no_drawing_occurs_twice(members, pixels):
    assert len({hashlib.sha256(content).digest() for content in members.values()}) == 700
    thumbnails = np.concatenate([shrink(pixels[part], 8) for part in PARTS]).round(-1)
    assert len(np.unique(thumbnails, axis=0)) == 700        # nor almost the same one


# -- reproducible

def test_redrawn_members_are_those_of_the_archive(members):
    with tarfile.open(ARCHIVE) as archive:
        software = archive.pax_headers["comment"]
    for part in PARTS:
        for species in SPECIES:
            name, content = draw_member((SEED, part, species, 0))
            ours, theirs = (np.asarray(Image.open(io.BytesIO(c)), float)
                            for c in (content, members[name]))
            assert np.abs(ours - theirs).mean() < 2, f"{name} is not what the code draws"
            if software == describe_software():
                assert content == members[name], name
    if software != describe_software():
        pytest.skip(f"bytes not compared: drawn with {software}, here is {describe_software()}")


@pytest.mark.slow
def test_same_seed_same_bytes_whatever_is_drawn_beside(tmp_path):
    for name, seed, test_per_class in (("a", 3, 1), ("b", 3, 1), ("c", 4, 1), ("d", 3, 2)):
        write_archive(tmp_path / name, seed=seed, train_per_class=1, test_per_class=test_per_class)
    first, second, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second
    assert first != other
    with tarfile.open(tmp_path / "a") as small, tarfile.open(tmp_path / "d") as large:
        for entry in small:
            assert small.extractfile(entry).read() == large.extractfile(entry.name).read()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == list("abcd")


def test_a_drawing_depends_on_its_generator_and_species_only():
    pictures = [draw_pet(species, np.random.default_rng(seed), size=64)
                for species, seed in (("cats", 1), ("cats", 1), ("cats", 2), ("dogs", 1))]
    assert [picture.size for picture in pictures] == [(64, 64)] * 4
    first, again, other, dog = (picture.tobytes() for picture in pictures)
    assert first == again
    assert len({first, other, dog}) == 3


def test_another_species_is_refused():
    with pytest.raises(CourseError, match="'cats' or 'dogs'"):
        draw_pet("birds", np.random.default_rng(0))


def test_command_draws_to_another_place(tmp_path):
    target = tmp_path / "new" / "sample.tgz"
    code = ("import sys, utils.sample_pets as s; w = s.write_archive\n"
            "s.write_archive = lambda path: w(path, train_per_class=1, test_per_class=1)\n"
            "sys.exit(s.main(sys.argv[1:]))")
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True,
                          cwd=Path(__file__).parent.parent, check=True)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert str(target) in done.stdout and digest in done.stdout
    assert "1  dogscats/valid/dogs" in done.stdout


# -- told apart by shape alone

def test_mean_colour_tells_nothing(pixels):
    assert classify({part: pixels[part].mean((1, 2)) for part in PARTS}) <= 0.60


@pytest.mark.parametrize("strength", [0.001, 0.01, 1.0])
def test_thumbnails_tell_little(pixels, strength):
    assert classify({part: shrink(pixels[part], 16) for part in PARTS}, strength) <= 0.70


def test_colour_statistics_and_file_sizes_tell_little(members, pixels):
    sizes = {part: np.array([[len(members[name_drawing(part, species, index)])]
                             for species in SPECIES for index in range(COUNTS[part])], float)
             for part in PARTS}
    colours = {part: describe_colours(pixels[part]) for part in PARTS}
    assert classify(sizes) <= 0.65
    assert classify(colours) <= 0.65
    assert classify({p: np.concatenate([sizes[p], colours[p]], 1) for p in PARTS}) <= 0.65


def test_the_shortcut_tests_would_notice_a_leak(pixels):
    tinted = {part: pixels[part].mean((1, 2)) for part in PARTS}
    for part in PARTS:
        tinted[part][COUNTS[part]:, 0] += 40        # dogs a little redder
    assert classify(tinted) > 0.60
