"""The long table of notebook 07: what is stored adds up, and the command still makes such cells."""

import json

import pytest
import torch

from tools import unfreezing
from utils.claims import find_p_value

CASES = json.loads(unfreezing.STORED.read_text(encoding="utf-8"))["cases"]


def test_every_cell_is_there() -> None:
    assert list(CASES) == list(unfreezing.CASES)
    assert all(list(row) == ["none", *unfreezing.STAGES] for row in CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_the_figures_of_a_row_add_up(name: str) -> None:
    frozen = CASES[name]["none"]
    for stage in unfreezing.STAGES:
        cell = CASES[name][stage]
        assert len(cell["validation"]) == len(unfreezing.RATES) * 2
        assert len(cell["seeds"]) == len(unfreezing.SEEDS)
        for seed in cell["seeds"]:
            assert seed["correct"] == frozen["correct"] + seed["gained"] - seed["lost"]
            assert seed["p"] == pytest.approx(find_p_value(seed["gained"], seed["lost"]))
            assert seed["correct"] <= frozen["tested"]


def test_a_drawing_is_known_by_where_it_looks() -> None:
    looks = [unfreezing.looks_right(f"train/cats/cat.{number}.jpg") for number in range(40)]
    assert 10 < sum(looks) < 30


def test_views_are_the_image_and_shifts_change_it() -> None:
    images = torch.full((2, 3, 256, 256), 255, dtype=torch.uint8)
    images[:, :, :128] = 0
    plain = unfreezing.make_centres(images, "none")
    assert plain.shape == (2, 3, 224, 224) and plain[0, 0, 0, 0] == -1
    assert torch.equal(unfreezing.make_centres(images, "inverted"), -plain)
    assert torch.equal(
        unfreezing.make_centres(images, "noise"), unfreezing.make_centres(images, "noise")
    )
    for shift in ("noise", "small"):
        assert not torch.equal(unfreezing.make_centres(images, shift), plain)
    assert unfreezing.make_views(images, "small", flip=True).shape == plain.shape


@pytest.mark.slow
def test_a_cell_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps on a dozen images: a stage learns, the rest of the network stays."""
    for name, value in {
        "STEPS": 2,
        "BATCH": 4,
        "VIEWS": 1,
        "RATES": (1e-3,),
        "SEEDS": (1,),
    }.items():
        monkeypatch.setattr(unfreezing, name, value)
    generator = torch.Generator().manual_seed(0)
    part = {
        "images": torch.randint(0, 256, (12, 3, 256, 256), generator=generator, dtype=torch.uint8),
        "collar": torch.arange(12) % 2,
    }
    parts = {"drawings train": part, "drawings valid": part}
    case = unfreezing.Case("drawings: collar or none", parts, "cpu")
    trained = case.train("first", 1e-3, keep=True, seed=0).state_dict()
    before = case.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], trained[name])}
    assert "body.conv_stem.weight" in moved and "fc.weight" in moved
    assert not [name for name in moved if name.startswith("body.blocks.3")]
    cell = case.fill_cell("last")
    assert set(cell["seeds"][0]) == {"correct", "gained", "lost", "p"}
