"""The slider of notebook 03: a head is trained, judged and drawn anew while it moves."""

import time
from collections.abc import Iterator
from unittest.mock import patch

from torch.utils.data import DataLoader

from tools.benchmarks.course_side import choose_settings, load_body, open_folder
from utils.features import extract_features
from utils.widgets.features import explore_few_images


def redraw(folder: str) -> Iterator[dict]:
    """The slowest stop on the slider's whole way, with images drawn for the first time."""
    settings = choose_settings()
    images = open_folder(folder, settings, augment=False)
    features = extract_features(load_body(settings), DataLoader(images, batch_size=32))
    with patch("utils.widgets.features.explore") as explore:
        both = images, images
        explore_few_images(features, features, both, images.classes, {"guessing": 0.5})
    (report,), controls = explore.call_args
    draw = 0
    while True:
        seconds = []
        for stop in controls["images_per_class"]:
            start = time.perf_counter()
            report(stop, draw).to_html()
            seconds.append(time.perf_counter() - start)
        yield {"seconds": max(seconds)}
        draw += 1
