"""Notebook 03's way from the archive to the tested run, the first time and the second."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ours import choose_settings
from utils.data import open_dataset
from utils.pictures import decode_split
from utils.recipes import load_frozen
from utils.runs import load_run_test
from utils.settings import Settings
from utils.weights import find_preprocessing


def run_once(settings: Settings) -> float:
    """Seconds from the archive to the frozen network and what it says about the test pictures."""
    start = time.perf_counter()
    dataset = open_dataset(settings)
    train = decode_split(dataset.train, find_preprocessing(settings.backbone), settings.home)
    load_frozen(settings, dataset, train)
    load_run_test(settings, "frozen")
    return time.perf_counter() - start


def run_first() -> Iterator[dict]:
    """Nothing is there yet."""
    while True:
        with tempfile.TemporaryDirectory() as home:
            yield {"seconds": run_once(choose_settings(Path(home)))}


def run_again() -> Iterator[dict]:
    """Everything is there."""
    with tempfile.TemporaryDirectory() as home:
        settings = choose_settings(Path(home))
        run_once(settings)
        while True:
            yield {"seconds": run_once(settings)}
