"""The way from the archive to the tested network of notebook 03, the first time and the second."""

import tempfile
import time
from collections.abc import Iterator

from utils.recipes import load_frozen
from utils.runs import load_run_test
from utils.settings import Settings, load_settings


def run_once(settings: Settings) -> float:
    """Seconds from the archive to the frozen network and its answers to the test images."""
    start = time.perf_counter()
    load_frozen(settings)
    load_run_test(settings, "frozen")
    return time.perf_counter() - start


def run_first() -> Iterator[dict]:
    """Nothing is there yet."""
    while True:
        with tempfile.TemporaryDirectory() as home:
            yield {"seconds": run_once(load_settings(profile="sample", home=home))}


def run_again() -> Iterator[dict]:
    """Everything is there."""
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings(profile="sample", home=home)
        run_once(settings)
        while True:
            yield {"seconds": run_once(settings)}
