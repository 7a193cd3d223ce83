"""From JPEGs to a head that passes the test: a few photographs, each seen once."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.ours import choose_settings, list_folder
from utils.features import Features, compute_features, draw_per_class, evaluate_head, fit_head
from utils.models import load_backbone, remove_head
from utils.pictures import decode_split
from utils.weights import find_preprocessing


def reach_accuracy(train: str, test: str, per_class: int) -> Iterator[dict]:
    """Another draw of `per_class` photographs of each class in every repetition, caches cold.

    The test photographs go through the network once, before, as on the article's side.
    """
    settings = choose_settings("/nowhere")
    backbone = remove_head(load_backbone(settings.backbone))
    preprocessing = find_preprocessing(settings.backbone)

    def extract(split) -> Features:
        with tempfile.TemporaryDirectory() as home:
            pictures = decode_split(split, preprocessing, Path(home))
            values = compute_features(backbone, pictures, preprocessing, settings)
        labels = torch.from_numpy(split.labels)
        return Features(torch.from_numpy(values), labels, split.classes, "", 0.0)

    everything, test_features = list_folder(train), extract(list_folder(test, "test"))
    draw = 0
    while True:
        rows = draw_per_class(torch.from_numpy(everything.labels), per_class, draw)
        split = everything.select(rows)
        start = time.perf_counter()
        head = fit_head(extract(split))
        seconds = time.perf_counter() - start
        accuracy = evaluate_head(head, test_features).accuracy
        yield {"seconds": seconds, "accuracy": accuracy, "seen": len(split)}
        draw += 1
