"""The slider of notebook 03: a head is trained, judged and drawn anew while it moves."""

import time
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader

from tools.benchmarks.course_side import choose_settings, load_body, open_folder
from utils.features import extract_features
from utils.widgets.features import list_stops, make_head_reporter


def redraw(folder: str) -> Iterator[dict]:
    """The slowest stop on the slider's whole way, with images drawn for the first time."""
    settings = choose_settings()
    images = open_folder(folder, settings, augment=False)
    features = extract_features(load_body(settings), DataLoader(images, batch_size=32))
    report = make_head_reporter(features, images, features, images, {"guessing": 0.5})
    draw = 0
    while True:
        seconds = []
        for stop in list_stops(torch.tensor(images.targets)):
            start = time.perf_counter()
            report(stop, draw).to_html()
            seconds.append(time.perf_counter() - start)
        yield {"seconds": max(seconds)}
        draw += 1
