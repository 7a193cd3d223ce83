"""Batches of random views from pictures that were decoded once: from the second epoch on."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.ours import choose_settings, list_folder, make_plan
from utils.pictures import decode_split, make_loader
from utils.training import draw_inputs


def read_views(folder: str) -> Iterator[dict]:
    with tempfile.TemporaryDirectory() as home:
        plan, preprocessing = make_plan(choose_settings(home))
        pictures = decode_split(list_folder(folder), preprocessing, Path(home))
        while True:
            torch.manual_seed(0)
            seen, start = 0, time.perf_counter()
            for images, labels in make_loader(pictures, plan.batch_size, shuffle=True):
                draw_inputs(images, plan)
                seen += len(labels)
            yield {"rate": seen / (time.perf_counter() - start)}
