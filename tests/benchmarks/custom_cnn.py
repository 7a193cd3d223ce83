"""An epoch of the custom CNN from decoded pictures."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.ours import choose_settings, list_folder, make_plan
from utils.models import CustomCNN
from utils.pictures import decode_split
from utils.precision import make_scaler
from utils.recipes import CUSTOM_CNN_RATE
from utils.training import LAYOUT, train_one_epoch


def train_epoch(folder: str) -> Iterator[dict]:
    """As `fit` does it, without the evaluation, which the article's side leaves out as well."""
    with tempfile.TemporaryDirectory() as home:
        settings = choose_settings(home)
        plan, preprocessing = make_plan(settings)
        pictures = decode_split(list_folder(folder), preprocessing, Path(home))
        torch.manual_seed(0)
        model = CustomCNN(2).to(memory_format=LAYOUT)
        optimizer = torch.optim.Adam(model.parameters(), lr=CUSTOM_CNN_RATE)
        scaler = make_scaler(plan.device, plan.precision)
        while True:
            start = time.perf_counter()
            train_one_epoch(model, optimizer, pictures, plan, scaler)
            yield {"seconds": time.perf_counter() - start}
