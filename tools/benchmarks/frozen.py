"""A frozen ResNet-101 and ten epochs of its head: each picture decoded once and seen once."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torchvision.models import resnet101

from benchmarks.ours import choose_settings, list_folder
from utils.features import Features, compute_features, train_head
from utils.models import remove_head
from utils.pictures import decode_split
from utils.weights import find_preprocessing


def train_frozen(folder: str, epochs: int) -> Iterator[dict]:
    """From JPEGs to the trained head, every cache cold."""
    torch.manual_seed(0)
    backbone = remove_head(resnet101())  # random weights: what is timed is the architecture
    settings = choose_settings("/nowhere", "resnet101")
    preprocessing = find_preprocessing("resnet101")
    split = list_folder(folder)
    while True:
        with tempfile.TemporaryDirectory() as home:
            start = time.perf_counter()
            pictures = decode_split(split, preprocessing, Path(home))
            values = compute_features(backbone, pictures, preprocessing, settings)
            labels = torch.from_numpy(split.labels)
            features = Features(torch.from_numpy(values), labels, split.classes, "", 0.0)
            train_head(features, epochs)
            yield {"seconds": time.perf_counter() - start}
