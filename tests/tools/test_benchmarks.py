"""The benchmarks measure what they say: a right baseline, sides that take turns, honest medians."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet18

from tools.benchmarks import __main__ as bench
from tools.benchmarks import article, course_side, growth, machine, page, start_up
from tools.benchmarks.article_side import build_lite0, find_quick_precisions, train_until
from tools.benchmarks.extraction import count_operations
from tools.benchmarks.runner import (
    ROOT,
    Side,
    Worker,
    alternate,
    clean_environment,
    format_row,
    make_row,
)
from utils.models import CustomCNN, load_efficientnet_lite0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty small images: cats are dark, dogs are light."""
    generator = np.random.default_rng(0)
    for name, level in (("cats", 60), ("dogs", 190)):
        (tmp_path / name).mkdir()
        for number in range(10):
            pixels = (level + generator.integers(-40, 40, (40, 40, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.jpg")
    return tmp_path


# ------------------------------------------------------------------------------ the article's code


@pytest.mark.slow
def test_the_articles_head_learns_and_nothing_else_does(folder):
    torch.manual_seed(0)
    model = resnet18()
    optimizer = article.freeze_and_replace_head(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loader = article.make_loader(folder, augment=True, batch_size=10)
    history = article.train(model, loader, optimizer, 4, batch_norm_in_eval_mode=True)
    changed = {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"fc.weight", "fc.bias"}
    assert all(parameter.grad is None for parameter in model.conv1.parameters())
    logits, labels = article.predict(model, article.make_loader(folder, augment=False))
    assert article.measure_accuracy(logits, labels) == 1.0
    assert history[-1][0] < history[0][0]


def test_the_article_as_typed_lets_batch_norm_drift(folder):
    model = resnet18()
    optimizer = article.freeze_and_replace_head(model)
    before = model.bn1.running_mean.clone()
    article.train(model, article.make_loader(folder, augment=True), optimizer, 1)
    assert not torch.equal(model.bn1.running_mean, before)


def test_the_articles_network_computes_what_the_courses_does():
    theirs, ours = article.CustomCNN(), CustomCNN(2)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    theirs.eval(), ours.eval()
    with torch.inference_mode():
        assert torch.allclose(theirs(images), ours(images), atol=1e-5)


def test_both_sides_start_from_the_same_weights():
    theirs = list(build_lite0().state_dict().values())
    ours = list(load_efficientnet_lite0().state_dict().values())
    assert len(theirs) == len(ours)
    assert all(torch.equal(*pair) for pair in zip(theirs, ours, strict=True))


def test_the_articles_training_stops_at_the_target(folder):
    class Net(nn.Module):
        """The brightness, which is what the labels are, and a head."""

        def __init__(self) -> None:
            super().__init__()
            self.classifier = nn.Linear(1, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.classifier(images.mean(dim=(1, 2, 3))[:, None])

    torch.manual_seed(0)
    model, loader = Net(), article.make_loader(folder, augment=True, batch_size=5)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    brightness = torch.tensor([[-1.0], [1.0]] * 10)
    test = brightness, torch.tensor([0, 1] * 10)
    result = train_until(model, loader, optimizer, test, 0.98, 50)
    assert result["accuracy"] >= 0.98
    assert result["seen"] == 5 * result["steps"] < 50 * 20  # not all epochs were needed
    assert train_until(model, loader, optimizer, test, 2.0, 3)["steps"] == 3 * 4  # never reached


@pytest.mark.slow
def test_the_baseline_does_not_import_the_course():
    code = (
        "import sys, tools.benchmarks.article_side; print([m for m in sys.modules if m == 'utils'])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert found.stdout.strip() == "[]"


# --------------------------------------------------------------------------------------- the runner


def test_sides_take_turns_and_the_warm_up_does_not_count(tmp_path):
    log = tmp_path / "turns"
    sides = {
        name: Side("tests.tools.fake_sides:note_turns", {"log": str(log), "name": name})
        for name in "ab"
    }
    measured = alternate(sides, 3)
    assert log.read_text().split() == ["a0", "b0", "a1", "b1", "b2", "a2", "a3", "b3"]
    assert [numbers["seconds"] for numbers in measured["a"]] == [1.0, 2.0, 3.0]
    if sys.platform == "linux":
        assert all(numbers["peak_memory"] > 1_000_000 for numbers in measured["b"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this allocator")
def test_the_allocator_is_left_alone_where_it_is_the_baseline():
    task = "tests.tools.fake_sides:read_allocator"
    sides = {kind: Side(task, {}, kind) for kind in ("default", "course")}
    measured = alternate(sides, 1, warm_up=False)
    assert not measured["default"][0]["glibc"]
    assert measured["course"][0]["glibc"]


def test_a_side_that_fails_says_why():
    with Worker(Side("tests.tools.fake_sides:fail")) as worker:
        with pytest.raises(RuntimeError, match="the reason"):
            worker.repeat()


def test_the_callers_settings_reach_no_side(monkeypatch):
    monkeypatch.setenv("COURSE_DATA", "elsewhere")
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "0")
    assert not {"COURSE_DATA", "MALLOC_MMAP_MAX_"} & set(clean_environment())


def test_a_ratio_is_the_median_over_rounds_not_the_ratio_of_medians():
    row = make_row("it", [1.0, 2.0, 10.0], [10.0, 10.0, 10.0], "s", 3)
    assert (row["ours"], row["baseline"], row["ratio"]) == (2.0, 10.0, 5.0)
    assert row["ratios"] == [10.0, 5.0, 1.0]
    assert make_row("it", [6.0], [2.0], "images/s")["ratio"] == 3.0
    assert format_row(row).endswith("yes")
    assert format_row(row | {"goal": 6}).endswith("no")


def test_the_json_has_the_form_that_was_agreed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "BUILD", tmp_path)
    monkeypatch.setattr(bench, "prepare_material", lambda home: None)
    made = make_row("made", [1.0, 1.0], [4.0, 6.0], "s", 3, peaks={"ours": 2, "baseline": 1})
    monkeypatch.setattr(bench, "ROWS", {"made": lambda material: [made]})
    assert bench.main([]) == 0
    rows = json.loads((tmp_path / "bench.json").read_text())
    assert made.items() <= rows[0].items() and len(rows) == 1
    assert list(rows[0])[:5] == ["name", "ours", "baseline", "ratio", "unit"]
    about = {"processor", "flags", "versions", "inputs", "others", "busy"}
    assert about <= set(rows[0])
    assert "made" in capsys.readouterr().out


def test_an_unknown_name_is_told(capsys):
    assert bench.main(["custom_cnn_epok"]) == 2
    assert "custom_cnn_epoch" in capsys.readouterr().out


def test_every_name_of_the_contract_is_measured():
    names = {"frozen_10_epochs", "feature_extraction", "custom_cnn_epoch", "input_pipeline"}
    assert names | {"second_run", "time_to_98", "start_up"} <= set(bench.ROWS)
    assert list(bench.ROWS)[-1] == "core_on_sample"  # the longest


@pytest.mark.parametrize(("own", "busy"), [(3.9, False), (2.0, True)])
def test_what_others_take_makes_a_row_busy(monkeypatch, own: float, busy: bool):
    """Ten seconds of two cores, four of them at work."""
    clocks = iter([(0.0, 100.0, 50.0), (10.0, 104.0, 50.0 + own)])
    monkeypatch.setattr(machine, "read_clocks", lambda: next(clocks))
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(machine, "BUSY", 0.09)
    with machine.watch_others() as found:
        pass
    assert found["others"] == pytest.approx((4.0 - own) / 20)
    assert found["busy"] == busy


def test_our_own_ended_processes_are_not_others():
    before = machine.read_clocks()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    after = machine.read_clocks()
    assert after[2] > before[2]
    assert after[1] - before[1] > 0.5 * (after[2] - before[2])  # clocks tick a hundredth apart


# ----------------------------------------------------------------------------------------- the page


def test_the_page_shows_the_stored_run():
    text, rows = page.PAGE.read_text("utf-8"), json.loads(page.STORED.read_text("utf-8"))
    assert page.fill_page(text, rows, bench.ROWS) == text
    assert not page.find_busy(rows)


def test_a_whole_run_of_an_idle_machine_is_published_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "ROOT", tmp_path)
    monkeypatch.setattr(page, "STORED", tmp_path / "stored.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    page.PAGE.write_text(f"before\n{page.BEGIN}made before\n{page.END}after\n")
    about = machine.describe_machine() | {"inputs": "0123", "load": 0.1, "others": 0.3}
    made = make_row("made", [1.0, 1.0], [4.0, 6.0], "s", 6, notebooks={"01_data": 24.0}) | about
    measured, groups = tmp_path / "bench.json", {"made": course_side.work}
    for rows, missing in (([], "missing are made"), ([made | {"busy": True}], "made \\(30%\\)")):
        measured.write_text(json.dumps(rows))
        with pytest.raises(SystemExit, match=missing):
            page.publish(measured, groups)
    assert not page.STORED.exists()
    measured.write_text(json.dumps([made | {"busy": False}]))
    page.publish(measured, groups)
    text = page.PAGE.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "made before" not in text
    assert "| `made` | 1 s | 5 s | **5.00** | 4.00–6.00 of 2 | ≥ 6 (missed) |" in text
    assert "- made: seconds by notebook: 01 24" in text
    assert page.fill_page(text, json.loads(page.STORED.read_text()), groups) == text


def test_every_side_that_a_row_names_is_there():
    for path in Path(bench.__file__).parent.glob("*.py"):
        for module, name in re.findall(r'"(tools[\w.]+):(\w+)"', path.read_text("utf-8")):
            assert callable(getattr(importlib.import_module(module), name))


def test_growth_tells_linear_from_not_linear():
    straight = [{"images": n, "seconds": 0.01 * n + 0.2} for n in growth.SIZES]
    fit = growth.fit_growth(straight)
    assert fit["linear"]
    assert fit["full"] == pytest.approx(230.2, rel=1e-6)
    bent = [{"images": n, "seconds": 1e-5 * n**1.5} for n in growth.SIZES]
    assert not growth.fit_growth(bent)["linear"]


def test_operations_are_those_of_the_layers():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=3, bias=False), nn.Flatten())
    forward = 2 * 74 * 74 * 4 * 3 * 9
    assert count_operations(model) == forward
    assert count_operations(model, training=True) == 2 * forward  # images need no gradient


def test_an_emulated_precision_is_not_measured():
    for bfloat16, found in ((0.0005, 2), (0.05, 1)):
        seconds = {torch.float32: 0.001, torch.bfloat16: bfloat16}
        assert len(find_quick_precisions(lambda kind, size, of=seconds: of[kind])) == found


@pytest.mark.slow
def test_cells_run_as_a_kernel_runs_them(tmp_path):
    """Lines with ! and %, and a last line of several lines whose value is the first image."""
    cells = ["if False:\n    !git clone it\n    %pip install it", "class D:\n    save = print"]
    cells.append("plots = None\n(D() if plots is None else\n plots.show_images())")
    cells.append("JOB = '''\nfrom nowhere import train\n'''\nfrom written_here import train")
    notebook = tmp_path / "01.ipynb"
    content = [{"cell_type": "code", "source": cell} for cell in cells]
    notebook.write_text(json.dumps({"cells": content}))
    for what in ("setup", "image"):
        assert start_up.run_cells([what, str(notebook)], str(tmp_path)) > 0


@pytest.mark.slow
def test_ours_extracts_features_and_fits_a_head_of_few_images(folder):
    result = next(course_side.reach_accuracy(str(folder), str(folder), per_class=5))
    assert result["accuracy"] == 1.0
    assert result["seen"] == 10


# ------------------------------------------------------------------------------------- starting up

HEAVY = {
    *("captum", "cv2", "IPython", "ipywidgets", "matplotlib", "numpy", "onnx", "onnxruntime"),
    *("scipy.stats", "sklearn", "timm", "torch", "torch._dynamo", "torchvision"),
}
NEEDED = {
    "utils.settings": set(),
    "utils.plots": {"numpy", "torch", "matplotlib"},
}


@pytest.mark.slow
@pytest.mark.parametrize("modules", NEEDED)
def test_nothing_heavy_is_imported_before_it_is_needed(modules):
    """Each of these takes from a fifth of a second to two; torchvision and timm the longest."""
    code = f"import sys, {modules}; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert HEAVY & set(found.stdout.split()) <= NEEDED[modules]
