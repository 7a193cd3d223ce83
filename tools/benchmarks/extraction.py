"""How much of the machine the features use, and what bounds EfficientNet-Lite0's."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet101

from benchmarks.ours import choose_settings, list_folder
from utils.features import compute_features
from utils.models import load_backbone, remove_head
from utils.pictures import decode_split
from utils.weights import find_preprocessing


def count_operations(model: nn.Module, size: int) -> int:
    """Floating-point operations of one picture; a multiplication with its addition is two."""
    with torch.device("meta"):
        picture = torch.empty(1, 3, size, size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.to("meta")(picture)
    return counter.get_total_flops()


def extract_resnet101(folder: str) -> Iterator[dict]:
    """GFLOP/s of `compute_features` on decoded pictures."""
    torch.manual_seed(0)
    backbone = remove_head(resnet101())
    preprocessing = find_preprocessing("resnet101")
    operations = count_operations(resnet101().eval(), preprocessing.crop)
    with tempfile.TemporaryDirectory() as home:
        settings = choose_settings(home, "resnet101")
        pictures = decode_split(list_folder(folder), preprocessing, Path(home))
        while True:
            start = time.perf_counter()
            compute_features(backbone, pictures, preprocessing, settings)
            seconds = time.perf_counter() - start
            yield {
                "rate": len(pictures) * operations / seconds / 1e9,
                "pictures_a_second": len(pictures) / seconds,
                "precision": settings.precision,
            }


def extract_lite0(folder: str) -> Iterator[dict]:
    """Pictures a second from JPEGs to features, every cache cold, and each part alone."""
    settings = choose_settings("/nowhere")
    backbone = remove_head(load_backbone(settings.backbone))
    preprocessing = find_preprocessing(settings.backbone)
    split = list_folder(folder)
    while True:
        with tempfile.TemporaryDirectory() as home:
            start = time.perf_counter()
            pictures = decode_split(split, preprocessing, Path(home))
            decoded = time.perf_counter()
            compute_features(backbone, pictures, preprocessing, settings)
            end = time.perf_counter()
        yield {
            "rate": len(split) / (end - start),
            "decoding": len(split) / (decoded - start),
            "network": len(split) / (end - decoded),
        }


def profile_lite0(folder: str) -> Iterator[dict]:
    """Where the network's seconds go: the profiler's table, and the shares by kind of layer.

    Convolutions are told apart by their weights: [out, 1, k, k] is depthwise, [out, in, 1, 1] is a
    matrix product at every pixel.
    """
    settings = choose_settings("/nowhere")
    backbone = remove_head(load_backbone(settings.backbone))
    preprocessing = find_preprocessing(settings.backbone)
    with tempfile.TemporaryDirectory() as home:
        pictures = decode_split(list_folder(folder), preprocessing, Path(home))
        compute_features(backbone, pictures, preprocessing, settings)
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
            compute_features(backbone, pictures, preprocessing, settings)
    table = profiler.key_averages().table("self_cpu_time_total", row_limit=12)
    groups = profiler.key_averages(group_by_input_shape=True)
    total = sum(event.self_cpu_time_total for event in groups)
    shares = Counter()
    for event in groups:
        shares[name_kind(event.key, event.input_shapes)] += event.self_cpu_time_total / total
    shares = dict(shares.most_common())
    while True:
        yield {"shares": shares, "table": table}


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
