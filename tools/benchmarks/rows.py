"""The rows of the table: which sides take turns, how often, and what they have to reach."""

import json
import tempfile
import time
from collections.abc import Callable

from torchvision.models import resnet101

from tools.benchmarks import growth
from tools.benchmarks.extraction import count_operations
from tools.benchmarks.material import Material
from tools.benchmarks.runner import ROOT, Side, alternate, clean_environment, make_row
from tools.cleaning import read_notebook
from tools.execution import execute_notebook
from tools.notebooks import CELL_SECONDS, find_core
from utils.models import CustomCNN

BUILD = ROOT / "_build"
PER_CLASS = 20  # photographs; chosen before anything here was timed
TARGET = 0.98
REDRAW = 0.5  # seconds: a slider that takes longer no longer follows the hand
CORE_SECONDS = 360  # of the five core notebooks, from nothing, on two cores with AVX2
MATRICES = Side("tools.benchmarks.article_side:multiply_matrices")
WORK = ("features", "head", "custom CNN", "fine-tuning")


def pick(measured: list[dict], key: str = "seconds") -> list[float]:
    return [numbers[key] for numbers in measured]


def find_photographs(material: Material, row: str) -> dict[str, str]:
    """The photographs' two folders; where there are none, nothing and a line that says so."""
    if material.photos is None:
        print(f"{row} is left out: ../shared/photos/dogscats-photos.tgz is not there.")
        return {}
    return {"train": str(material.photos / "train"), "test": str(material.photos / "valid")}


def bench_frozen(material: Material) -> list[dict]:
    """Ten epochs of ResNet-101's new head from 16 drawings: theirs sends 160 through it."""
    arguments = {"folder": material.take(16), "epochs": 10}
    sides = {
        "ours": Side("tools.benchmarks.course_side:train_frozen", arguments, "course"),
        "typed": Side("tools.benchmarks.article_side:frozen", arguments),
        "kept": Side("tools.benchmarks.article_side:frozen", arguments, "kept"),
        "matrices": MATRICES,
    }
    # The article's side has made itself warm: a repetition of it is half a minute.
    found = alternate(sides, 5, warm_up=False)
    ours, typed, kept = (pick(found[name]) for name in ("ours", "typed", "kept"))
    operations = 16 * count_operations(resnet101().eval()) / 1e9
    possible = [operations / rate for rate in pick(found["matrices"], "rate")]
    return [
        make_row("frozen_10_epochs", ours, typed, "s", 35),
        make_row("frozen_10_epochs_like_for_like", ours, kept, "s", 22),
        make_row("frozen_10_epochs_of_possible", ours, possible, "s", 0.95),
    ]


def bench_extraction(material: Material) -> list[dict]:
    """ResNet-101's features against matrix products: both in GFLOP/s."""
    sides = {
        "ours": Side(
            "tools.benchmarks.extraction:extract_resnet101", {"folder": material.take(64)}, "course"
        ),
        "baseline": MATRICES,
    }
    found = alternate(sides, 5)
    rates = pick(found["ours"], "rate"), pick(found["baseline"], "rate")
    more = {
        "images_a_second": pick(found["ours"], "images_a_second"),
        "precision": found["ours"][0]["precision"],
        "baseline_rates": [numbers["rates"] for numbers in found["baseline"]],
    }
    return [make_row("feature_extraction", *rates, "GFLOP/s", 0.7, **more)]


def bench_lite0(material: Material) -> list[dict]:
    """EfficientNet-Lite0's features from JPEGs; and the profile that shows what bounds them."""
    arguments = {"folder": material.take(256)}
    sides = {
        "ours": Side("tools.benchmarks.extraction:extract_lite0", arguments, "course"),
        "baseline": Side("tools.benchmarks.article_side:extract_lite0", arguments),
    }
    found = alternate(sides, 5)
    profiled = alternate(
        {"it": Side("tools.benchmarks.extraction:profile_lite0", arguments, "course")},
        1,
        warm_up=False,
    )["it"][0]
    (BUILD / "bench-profile.txt").write_text(profiled["table"], encoding="utf-8")
    rates = pick(found["ours"], "rate"), pick(found["baseline"], "rate")
    more = {
        "decoding_alone": pick(found["ours"], "decoding"),
        "network_alone": pick(found["ours"], "network"),
        "shares": profiled["shares"],
    }
    return [make_row("feature_extraction_lite0", *rates, "images/s", **more)]


def bench_custom_cnn(material: Material) -> list[dict]:
    """An epoch of 64 drawings, two batches; and its steps alone, against matrix products."""
    arguments, work = {"folder": material.take(64)}, "tools.benchmarks.course_side:work"
    sides = {
        "ours": Side(work, arguments | {"kind": "custom CNN"}, "course"),
        "steps": Side(work, arguments | {"kind": "custom CNN, decoded"}, "course"),
        "typed": Side("tools.benchmarks.article_side:custom_cnn", arguments),
        "kept": Side("tools.benchmarks.article_side:custom_cnn", arguments, "kept"),
        "matrices": MATRICES,
    }
    found = alternate(sides, 5)
    ours, steps, typed, kept = (pick(found[name]) for name in ("ours", "steps", "typed", "kept"))
    operations = 64 * count_operations(CustomCNN(2), training=True) / 1e9
    possible = [operations / rate for rate in pick(found["matrices"], "rate")]
    return [
        make_row("custom_cnn_epoch", ours, typed, "s", 3),
        make_row("custom_cnn_epoch_like_for_like", ours, kept, "s"),
        make_row("custom_cnn_epoch_of_possible", ours, possible, "s", 0.75),
        make_row("custom_cnn_steps_of_possible", steps, possible, "s", 0.75),
    ]


def bench_input(material: Material) -> list[dict]:
    """The article's random views of 32 images in a batch, decoded once or each time; no network."""
    folders = {"input_pipeline": material.take(320)}
    if photographs := find_photographs(material, "input_pipeline_photographs"):
        folders["input_pipeline_photographs"] = photographs["test"]
    folders["input_pipeline_12_megapixels"] = material.enlarge(32)
    rows = []
    for name, folder in folders.items():
        sides = {
            "ours": Side("tools.benchmarks.course_side:read_images", {"folder": folder}),
            "baseline": Side("tools.benchmarks.article_side:read_pictures", {"folder": folder}),
        }
        found = alternate(sides, 5)
        rates = pick(found["ours"], "rate"), pick(found["baseline"], "rate")
        rows.append(make_row(name, *rates, "images/s", 4))
    return rows


def bench_second_run(material: Material) -> list[dict]:
    """Notebook 03's way from the archive to the tested run: first time against second time."""
    sides = {
        "ours": Side("tools.benchmarks.second_run:run_again", {}, "course"),
        "baseline": Side("tools.benchmarks.second_run:run_first", {}, "course"),
    }
    found = alternate(sides, 5, warm_up=False)
    return [make_row("second_run", pick(found["ours"]), pick(found["baseline"]), "s", 10)]


def bench_time_to_98(material: Material) -> list[dict]:
    """Five draws of a few photographs against the article's loop with all of them."""
    if not (folders := find_photographs(material, "time_to_98")):
        return []
    arguments = folders | {"target": TARGET, "epochs": 10}
    sides = {
        "ours": Side(
            "tools.benchmarks.course_side:reach_accuracy",
            folders | {"per_class": PER_CLASS},
            "course",
        ),
        "baseline": Side("tools.benchmarks.article_side:reach_accuracy", arguments),
    }
    found = alternate(sides, 5, warm_up=False)
    row = make_row("time_to_98", pick(found["ours"]), pick(found["baseline"]), "s", 10)
    row |= {
        "per_class": PER_CLASS,
        "accuracies": pick(found["ours"], "accuracy"),
        "accuracy": sum(pick(found["ours"], "accuracy")) / 5,
        "baseline_accuracies": pick(found["baseline"], "accuracy"),
        "baseline_seen": pick(found["baseline"], "seen"),
    }
    if row["accuracy"] < TARGET:
        print(f"time_to_98: our mean of five draws is {row['accuracy']:.1%}, short of the target.")
    return [row]


def bench_onnx(material: Material) -> list[dict]:
    """EfficientNet-Lite0's features by ONNX Runtime, in float32 and in int8, against PyTorch."""
    if not (folders := find_photographs(material, "onnx_features")):
        return []
    task = "tools.benchmarks.onnx_side:extract"
    kinds = "PyTorch", "float32", "int8"
    found = alternate({kind: Side(task, folders | {"kind": kind}, "course") for kind in kinds}, 7)
    rates = {kind: pick(values, "rate") for kind, values in found.items()}
    right = {kind: values[0]["right"] for kind, values in found.items()}
    more = {
        "correct": {kind: sum(answers) for kind, answers in right.items()},
        "tested": len(right["PyTorch"]),
        "gained": sum(a > b for a, b in zip(right["int8"], right["PyTorch"], strict=True)),
        "lost": sum(a < b for a, b in zip(right["int8"], right["PyTorch"], strict=True)),
        "prepared": {kind: values[0]["prepared"] for kind, values in found.items()},
    }
    return [
        make_row("onnx_features", rates["float32"], rates["PyTorch"], "images/s"),
        make_row("onnx_features_int8", rates["int8"], rates["PyTorch"], "images/s", 1.5, **more),
    ]


def bench_start_up(material: Material) -> list[dict]:
    """Notebook 01 to its first image with warm caches; baseline: the libraries' import alone."""
    found = alternate(
        {
            "ours": Side("tools.benchmarks.start_up:show_first_image", {}, "course"),
            "baseline": Side("tools.benchmarks.article_side:import_libraries"),
        },
        5,
        warm_up=False,
    )
    setup = {"it": Side("tools.benchmarks.start_up:run_setup_cells", {}, "course")}
    cells = [each["seconds"] for each in alternate(setup, 2, warm_up=False)["it"]]
    more = {
        "first": found["ours"][0]["first"],
        "setup_cells": {name: min(each[name] for each in cells) for name in cells[0]},
    }
    return [make_row("start_up", pick(found["ours"]), pick(found["baseline"]), "s", **more)]


def bench_slider(material: Material) -> list[dict]:
    """The slowest redraw of notebook 03's slider, beside what it may take: nobody else has one."""
    side = Side("tools.benchmarks.slider:redraw", {"folder": material.take(360)}, "course")
    seconds = pick(alternate({"it": side}, 3)["it"])
    return [make_row("slider_redraw", seconds, [REDRAW] * len(seconds), "s", 1)]


def bench_core(material: Material) -> list[dict]:
    """Notebooks 01 to 05 once, from an empty home, beside what they may take."""
    seconds = {}
    with tempfile.TemporaryDirectory() as home:
        chosen = {"COURSE_PROFILE": "sample", "COURSE_HOME": home, "CI": "1"}
        for path in find_core():
            start = time.perf_counter()
            failure = execute_notebook(
                read_notebook(path), path, clean_environment() | chosen, CELL_SECONDS
            )
            seconds[path.stem] = time.perf_counter() - start
            if failure:
                raise RuntimeError(failure)
    total = [sum(seconds.values())]
    return [make_row("core_on_sample", total, [CORE_SECONDS], "s", 1, notebooks=seconds)]


def bench_allocator(material: Material) -> list[dict]:
    """Four pieces of our work on 96 drawings with freed memory kept, and without."""
    rows = []
    for kind in WORK:
        arguments = {"folder": material.take(96), "kind": kind}
        task = "tools.benchmarks.course_side:work"
        sides = {"ours": Side(task, arguments, "course"), "baseline": Side(task, arguments)}
        found = alternate(sides, 5)
        peaks = {
            side: max(filter(None, pick(values, "peak_memory")), default=None)
            for side, values in found.items()
        }
        seconds = pick(found["ours"]), pick(found["baseline"])
        rows.append(make_row(f"allocator_{kind.replace(' ', '_')}", *seconds, "s", peaks=peaks))
    return rows


def bench_growth(material: Material) -> list[dict]:
    """No row: seconds and peak memory of 250 to 4,000 images, as a figure and as JSON."""
    measured = growth.measure_growth(material)
    growth.plot_growth(measured, BUILD / "growth.png")
    content = {
        kind: {"points": points} | growth.fit_growth(points) for kind, points in measured.items()
    }
    (BUILD / "growth.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    print("\n".join(growth.describe_growth(measured)))
    return []


ROWS: dict[str, Callable[[Material], list[dict]]] = {
    "frozen_10_epochs": bench_frozen,
    "feature_extraction": bench_extraction,
    "feature_extraction_lite0": bench_lite0,
    "custom_cnn_epoch": bench_custom_cnn,
    "input_pipeline": bench_input,
    "second_run": bench_second_run,
    "time_to_98": bench_time_to_98,
    "onnx_features": bench_onnx,
    "start_up": bench_start_up,
    "slider_redraw": bench_slider,
    "core_on_sample": bench_core,
}
EXTRAS: dict[str, Callable[[Material], list[dict]]] = {
    "allocator": bench_allocator,
    "growth": bench_growth,
}
