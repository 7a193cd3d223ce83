"""The slider of notebook 03: a head is trained, judged and drawn anew while it moves."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.ours import choose_settings, list_folder
from utils.features import Features, compute_features
from utils.models import load_backbone, remove_head
from utils.pictures import decode_split
from utils.weights import find_preprocessing
from utils.widgets_features import list_stops, make_head_reporter


def redraw(folder: str) -> Iterator[dict]:
    """The slowest stop on the slider's whole way, with pictures drawn for the first time."""
    settings = choose_settings("/nowhere")
    preprocessing = find_preprocessing(settings.backbone)
    with tempfile.TemporaryDirectory() as home:
        pictures = decode_split(list_folder(folder), preprocessing, Path(home))
        backbone = remove_head(load_backbone(settings.backbone))
        values = torch.from_numpy(compute_features(backbone, pictures, preprocessing, settings))
        labels = torch.from_numpy(pictures.split.labels)
        features = Features(values, labels, pictures.split.classes, "", 0.0)
        report = make_head_reporter(features, pictures, features, pictures, {"guessing": 0.5})
        draw = 0
        while True:
            seconds = []
            for stop in list_stops(features):
                start = time.perf_counter()
                report(stop, draw).to_html()
                seconds.append(time.perf_counter() - start)
            yield {"seconds": max(seconds)}
            draw += 1
