"""The table of datasets, and the ways to name one's own."""

import dataclasses
from pathlib import Path

import pytest
from loopback import make_pictures, pack_tar

from utils.errors import CourseError
from utils.settings import PROFILES, ROOT
from utils.sources import SOURCES, find_source


def test_every_profile_names_a_source() -> None:
    for profile in PROFILES.values():
        assert find_source(profile.data) is SOURCES[profile.data]


def test_table_is_complete() -> None:
    for name, source in SOURCES.items():
        assert source.name == name
        assert source.licence and source.origin and source.title and source.addresses
    full, photos, sample = SOURCES["full"], SOURCES["photos"], SOURCES["sample"]
    assert [full.file_name, photos.file_name] == ["dogscats.tgz", "cats_and_dogs_filtered.zip"]
    assert len(full.addresses) == 2 and full.bytes == 839_285_364
    assert sum(sum(split.values()) for split in full.counts.values()) == 25_000
    assert sum(sum(split.values()) for split in photos.counts.values()) == 3_000
    assert sample.addresses == (str(ROOT / "data" / "dogscats-sample.tgz"),)
    for source in (full, photos):
        assert "research and education" in source.licence
        assert all(address.startswith("https://") for address in source.addresses)


def test_sources_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SOURCES["full"].bytes = 1


@pytest.mark.parametrize("name", ["my cats.tgz", "my cats.tar.gz", "my cats.TAR", "my cats.zip"])
def test_own_archive(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(pack_tar(make_pictures()))
    source = find_source(str(path))
    assert source.addresses == (str(path),) and not source.is_remote
    assert source.name.startswith("my-cats-") and len(source.name) == len("my-cats-") + 8
    assert source.sha256 is None and source.counts is None


def test_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Mes animaux (été)").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    ways = ["~/Mes animaux (été)", "Mes animaux (été)", " ./Mes animaux (été)/ "]
    names = {find_source(way).name for way in ways}
    assert len(names) == 1
    assert names.pop().startswith("Mes-animaux-t-")


def test_table_goes_before_a_folder_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_source("full") is SOURCES["full"]
    assert find_source("./full").addresses == (str(tmp_path / "full"),)


def test_own_url() -> None:
    source = find_source("https://school.example/share/dogscats.tgz?key=1")
    assert source.is_remote and source.addresses == (
        "https://school.example/share/dogscats.tgz?key=1",
    )
    assert source.file_name == f"{source.name}.tgz" and source.name.startswith("dogscats-")
    # The same file name elsewhere is another dataset: its download has another name.
    other = find_source("https://other.example/dogscats.tgz")
    assert other.file_name != source.file_name
    assert find_source("HTTPS://other.example/dogscats.tgz") == other


NOWHERE = ["no such folder", "", "  ", "Sample", "notes.txt"]
NOWHERE += ["ftp://host/a.tgz", "https://host/a", "http://", "https:///a.tgz", "http://[a.tgz"]


@pytest.mark.parametrize("data", NOWHERE)
def test_anything_else_is_one_sentence(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("not an archive")
    with pytest.raises(CourseError) as caught:
        find_source(data)
    sentence = str(caught.value)
    assert data.strip() in sentence and "\n" not in sentence and sentence.endswith(".")
    assert "sample, photos, full" in sentence and ".zip" in sentence and "http(s) URL" in sentence
