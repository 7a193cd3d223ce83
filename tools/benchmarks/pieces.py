"""Pieces of the course's work on the pictures of a folder, each timed by itself."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.ours import choose_settings, list_folder, make_plan
from utils.features import Features, compute_features, train_head
from utils.finetuning import unfreeze_from
from utils.models import CustomCNN, load_backbone, remove_head, replace_head
from utils.pictures import decode_split
from utils.precision import make_scaler
from utils.recipes import CUSTOM_CNN_RATE
from utils.training import LAYOUT, train_one_epoch


def work(folder: str, kind: str) -> Iterator[dict]:
    """Seconds of one piece of work on the pictures of a folder."""
    with tempfile.TemporaryDirectory() as home:
        settings = choose_settings(home)
        pictures = decode_split(list_folder(folder), make_plan(settings)[1], Path(home))
        prepare = {
            "decoding": prepare_decoding,
            "features": prepare_features,
            "head": prepare_head,
            "custom CNN": prepare_custom_cnn,
            "fine-tuning": prepare_fine_tuning,
        }[kind]
        prepare(settings, pictures.select(range(8)))()  # what only a process's first call costs
        do = prepare(settings, pictures)
        while True:
            start = time.perf_counter()
            do()
            yield {"seconds": time.perf_counter() - start}


def prepare_decoding(settings, pictures) -> Callable:
    def decode() -> None:
        with tempfile.TemporaryDirectory() as home:
            decode_split(pictures.split, make_plan(settings)[1], Path(home))

    return decode


def prepare_features(settings, pictures) -> Callable:
    backbone = remove_head(load_backbone(settings.backbone))
    preprocessing = make_plan(settings)[1]
    return lambda: compute_features(backbone, pictures, preprocessing, settings)


def prepare_head(settings, pictures) -> Callable:
    """Ten epochs; a head's seconds do not depend on what the features are."""
    labels = torch.from_numpy(pictures.split.labels)
    values = torch.randn(len(labels), 1280, generator=torch.Generator().manual_seed(0))
    features = Features(values, labels, pictures.split.classes, "", 0.0)
    return lambda: train_head(features, 10)


def prepare_custom_cnn(settings, pictures) -> Callable:
    """An epoch as `fit` does it, without the evaluation, which the article's side leaves out."""
    plan, _ = make_plan(settings)
    torch.manual_seed(0)
    model = CustomCNN(2).to(memory_format=LAYOUT)
    optimizer = torch.optim.Adam(model.parameters(), lr=CUSTOM_CNN_RATE)
    scaler = make_scaler(plan.device, plan.precision)
    return lambda: train_one_epoch(model, optimizer, pictures, plan, scaler)


def prepare_fine_tuning(settings, pictures) -> Callable:
    """From stage 3 up, in float32, as notebook 04 does it."""
    plan = make_plan(settings)[0]
    plan = type(plan)(1, plan.preprocessing, freeze_statistics=True, device=plan.device)
    model = load_backbone(settings.backbone)
    replace_head(model, 2)
    unfreeze_from(model, "stage 3")
    model.to(memory_format=LAYOUT)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=1e-4)
    scaler = make_scaler(plan.device, plan.precision)
    return lambda: train_one_epoch(model, optimizer, pictures, plan, scaler)
