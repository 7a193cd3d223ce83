"""The course's side of every comparison: its own loops and drop-ins, as the notebooks use them."""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder

from tools.benchmarks import article
from utils.data import DecodedOnce, make_transforms
from utils.features import extract_features, fit_head, select_per_class
from utils.finetuning import keep_statistics, unfreeze_from
from utils.models import CustomCNN, load_backbone, use_fast_arithmetic
from utils.recipes import CUSTOM_CNN_RATE
from utils.settings import Settings, load_settings
from utils.training import collect_logits, train_one_epoch


def choose_settings(backbone: str = "efficientnet_lite0") -> Settings:
    return load_settings(profile="sample", backbone=backbone, home="/nowhere")


def open_folder(folder: str, settings: Settings, augment: bool) -> ImageFolder:
    """`folder/<class>/…` with one of notebook 01's two transforms."""
    return ImageFolder(folder, make_transforms(settings)[0 if augment else 1])


def load_body(settings: Settings) -> nn.Module:
    """The backbone without its head; ResNet-101 with random weights: its architecture is timed."""
    torch.manual_seed(0)
    if settings.backbone == "resnet101":
        from torchvision.models import resnet101

        model = resnet101()
    else:
        model = load_backbone(settings)
    model.fc = nn.Identity()
    return use_fast_arithmetic(model, settings, training=False)


def train_frozen(folder: str, epochs: int) -> Iterator[dict]:
    """From JPEGs to a trained head on ResNet-101: features once, then `epochs` epochs on them."""
    settings = choose_settings("resnet101")
    body = load_body(settings)
    loader = DataLoader(open_folder(folder, settings, augment=False), batch_size=16)
    while True:
        start = time.perf_counter()
        train_head(extract_features(body, loader), epochs)
        yield {"seconds": time.perf_counter() - start}


def train_head(features, epochs: int) -> nn.Linear:
    """The head of notebook 03: the same loop, on features."""
    torch.manual_seed(0)
    head = nn.Linear(features.tensors[0].shape[1], 2)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.001)
    loader = DataLoader(features, batch_size=32, shuffle=True)
    for _ in range(epochs):
        train_one_epoch(head, loader, optimizer)
    return head


def reach_accuracy(train: str, test: str, per_class: int) -> Iterator[dict]:
    """Another draw of `per_class` photographs of each class in every repetition.

    The test photographs go through the network once, before, as on the article's side.
    """
    settings = choose_settings()
    body = load_body(settings)
    test_features = extract_features(
        body, DataLoader(open_folder(test, settings, augment=False), batch_size=32)
    )
    everything = open_folder(train, settings, augment=False)
    draw = 0
    while True:
        rows = select_per_class(torch.tensor(everything.targets), per_class, draw).tolist()
        start = time.perf_counter()
        loader = DataLoader(Subset(everything, rows), batch_size=20)
        head = fit_head(extract_features(body, loader))
        seconds = time.perf_counter() - start
        logits, labels = collect_logits(head, DataLoader(test_features, batch_size=256))
        accuracy = (logits.argmax(dim=1) == labels).float().mean().item()
        yield {"seconds": seconds, "accuracy": accuracy, "seen": len(rows)}
        draw += 1


def read_images(folder: str) -> Iterator[dict]:
    """Batches with the article's transforms, decoded once: from the second epoch on."""
    images = cast(ImageFolder, article.make_loader(Path(folder), augment=True).dataset)
    with tempfile.TemporaryDirectory() as home:
        once = DecodedOnce(images, Path(home) / "images")
        loader = DataLoader(once, batch_size=32, shuffle=True)
        while True:
            torch.manual_seed(0)
            start = time.perf_counter()
            seen = sum(len(labels) for _, labels in loader)
            yield {"rate": seen / (time.perf_counter() - start)}


def work(folder: str, kind: str) -> Iterator[dict]:
    """Seconds of one piece of work on the images of a folder."""
    settings = choose_settings()
    prepare: dict[str, Callable] = {
        "features": prepare_features,
        "head": prepare_head,
        "custom CNN": prepare_custom_cnn,
        "custom CNN, decoded": partial(prepare_custom_cnn, decoded=True),
        "fine-tuning": prepare_fine_tuning,
    }
    do = prepare[kind](settings, folder)
    do()  # what only a process's first call costs
    while True:
        start = time.perf_counter()
        do()
        yield {"seconds": time.perf_counter() - start}


def prepare_features(settings: Settings, folder: str) -> Callable:
    body = load_body(settings)
    loader = DataLoader(open_folder(folder, settings, augment=False), batch_size=32)
    return lambda: extract_features(body, loader)


def prepare_head(settings: Settings, folder: str) -> Callable:
    """Ten epochs; a head's seconds do not depend on what the features are."""
    labels = torch.tensor(open_folder(folder, settings, augment=False).targets)
    values = torch.randn(len(labels), 1280, generator=torch.Generator().manual_seed(0))
    features = torch.utils.data.TensorDataset(values, labels)
    return lambda: train_head(features, 10)


def prepare_custom_cnn(settings: Settings, folder: str, decoded: bool = False) -> Callable:
    """An epoch as notebook 02 trains, without the evaluation, which the article's side lacks."""
    torch.manual_seed(0)
    model = use_fast_arithmetic(CustomCNN(2), settings)
    optimizer = torch.optim.Adam(model.parameters(), lr=CUSTOM_CNN_RATE)
    loader = DataLoader(open_folder(folder, settings, augment=True), batch_size=32, shuffle=True)
    batches: Any = list(loader) if decoded else loader  # the loop asks for no more than batches
    return lambda: train_one_epoch(model, batches, optimizer)


def prepare_fine_tuning(settings: Settings, folder: str) -> Callable:
    """An epoch from stage 3 up, as notebook 04 trains."""
    model = load_backbone(settings)
    model.fc = nn.Linear(model.get_parameter("fc.weight").shape[1], 2)
    unfreeze_from(model, "stage 3")
    keep_statistics(model)
    model = use_fast_arithmetic(model, settings)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=1e-4)
    loader = DataLoader(open_folder(folder, settings, augment=True), batch_size=32, shuffle=True)
    return lambda: train_one_epoch(model, loader, optimizer)
