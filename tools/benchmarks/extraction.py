"""How much of the machine the features use, and what bounds EfficientNet-Lite0's."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet101

from tools.benchmarks.course_side import choose_settings, load_body, open_folder
from utils.data import DecodedOnce
from utils.features import extract_features


def count_operations(model: nn.Module, training: bool = False) -> int:
    """Floating-point operations of an image of 224 × 224; a product with its addition is two.

    `training`: those of the backward pass as well.
    """
    with torch.device("meta"):
        image = torch.empty(1, 3, 224, 224)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(training):
        outputs = model.to("meta")(image)
        if training:
            outputs.sum().backward()
    return counter.get_total_flops()


def open_decoded(folder: str, settings, home: str) -> DecodedOnce:
    return DecodedOnce(open_folder(folder, settings, augment=False), Path(home) / "images")


def extract_resnet101(folder: str) -> Iterator[dict]:
    """GFLOP/s of `extract_features` on decoded images."""
    settings = choose_settings("resnet101")
    body = load_body(settings)
    operations = count_operations(resnet101().eval())
    with tempfile.TemporaryDirectory() as home:
        images = open_decoded(folder, settings, home)
        loader = DataLoader(images, batch_size=16)
        while True:
            start = time.perf_counter()
            extract_features(body, loader)
            seconds = time.perf_counter() - start
            yield {
                "rate": len(images) * operations / seconds / 1e9,
                "images_a_second": len(images) / seconds,
                "precision": settings.precision,
            }


def extract_lite0(folder: str) -> Iterator[dict]:
    """Images a second from JPEGs to features, and each part alone."""
    settings = choose_settings()
    body = load_body(settings)
    images = open_folder(folder, settings, augment=False)
    loader = DataLoader(images, batch_size=32)
    while True:
        start = time.perf_counter()
        batches = list(loader)
        decoded = time.perf_counter()
        extract_features(body, batches)
        end = time.perf_counter()
        seen = len(images)
        yield {
            "rate": seen / (end - start),
            "decoding": seen / (decoded - start),
            "network": seen / (end - decoded),
        }


def profile_lite0(folder: str) -> Iterator[dict]:
    """Where the network's seconds go: the profiler's table, and the shares by kind of layer.

    Convolutions are told apart by their weights: [out, 1, k, k] is depthwise, [out, in, 1, 1] is a
    matrix product at every pixel.
    """
    settings = choose_settings()
    body = load_body(settings)
    batches = list(DataLoader(open_folder(folder, settings, augment=False), batch_size=32))
    extract_features(body, batches)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        extract_features(body, batches)
    table = profiler.key_averages().table("self_cpu_time_total", row_limit=12)
    groups = profiler.key_averages(group_by_input_shape=True)
    total = sum(event.self_cpu_time_total for event in groups)
    shares: Counter[str] = Counter()
    for event in groups:
        shares[name_kind(event.key, event.input_shapes)] += event.self_cpu_time_total / total
    ranked = dict(shares.most_common())
    while True:
        yield {"shares": ranked, "table": table}


def name_kind(operation: str, shapes: list) -> str:
    if "batch_norm" in operation:
        return "batch norm"
    if operation in ("aten::fill_", "aten::copy_"):
        return "padding and copies"  # TensorFlow's padding is asymmetric: a larger copy each time
    if "convolution" not in operation or len(shapes) < 2 or len(shapes[1]) != 4:
        return "everything else"
    _, inputs, height, width = shapes[1]
    if inputs == 1:
        return "depthwise"
    return "pointwise" if (height, width) == (1, 1) else "other convolutions"
