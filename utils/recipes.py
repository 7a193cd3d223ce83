"""The course's own runs, made where a notebook needs one that is not there yet.

Each does what its notebook does, with the same seeds: the weights are the same.
"""

import time

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from utils.data import Loaders, make_loaders
from utils.features import fit_head, load_features
from utils.finetuning import group_parameters, keep_statistics, unfreeze_from
from utils.models import CustomCNN, freeze, load_backbone, use_fast_arithmetic
from utils.runs import Run, find_folder, find_run, load_run, save_run
from utils.settings import Settings
from utils.training import collect_logits, fit

HEAD_EPOCHS = 10
CUSTOM_CNN_RATE = 0.0003  # Adam's own 0.001 leaves some seeds at the untrained loss
UNFROZEN_EPOCHS = 2
UNFROZEN_RATE, RATE_FACTOR = 1e-4, 0.7


def load_custom_cnn(settings: Settings) -> nn.Module:
    """Notebook 02's network in eval mode; it is trained first if need be."""
    return load_or_make(settings, "custom_cnn")


def load_frozen(settings: Settings) -> nn.Module:
    """The frozen backbone with notebook 03's head; the head is trained first if need be."""
    return load_or_make(settings, "frozen")


def load_or_make(settings: Settings, name: str) -> nn.Module:
    """The network of a run in eval mode on the device; a line says so where it is made now."""
    loaders = make_loaders(settings)
    if find_run(settings, name, loaders) is None:
        make, notebook = RECIPES[name]
        run = make(settings, loaders)
        print(f"Made the network of notebook {notebook} in {run.seconds:.0f} s of training.")
    return load_run(settings, name).to(settings.device).to(memory_format=torch.channels_last)


def make_custom_cnn(settings: Settings, loaders: Loaders) -> Run:
    """Notebook 02 in short."""
    torch.manual_seed(0)
    model = use_fast_arithmetic(CustomCNN(len(loaders.class_names)), settings)
    optimizer = torch.optim.Adam(model.parameters(), lr=CUSTOM_CNN_RATE)
    epochs = settings.custom_cnn_epochs
    return train_and_save(settings, "custom_cnn", model, optimizer, loaders, epochs)


def make_frozen(settings: Settings, loaders: Loaders) -> Run:
    """Notebook 03 in short: features once, the head on them, tested once, saved."""
    start = time.perf_counter()
    train, validation = load_features(settings, "train"), load_features(settings, "validation")
    seconds = time.perf_counter() - start
    torch.manual_seed(0)
    head = nn.Linear(train.tensors[0].shape[1], len(loaders.class_names))
    optimizer = torch.optim.Adam(head.parameters(), lr=0.001)
    batches = DataLoader(train, batch_size=32, shuffle=True)
    torch.manual_seed(0)
    history = fit(head, batches, DataLoader(validation, 32), optimizer, HEAD_EPOCHS)
    history["seconds"][0] += seconds
    test = collect_logits(head, DataLoader(load_features(settings, "test"), 32))
    model = load_backbone(settings)
    freeze(model)
    model.fc = head
    return save_run(settings, "frozen", model, history, test, loaders)


def make_unfrozen(settings: Settings, loaders: Loaders) -> Run:
    """Notebook 04 in short."""
    model, optimizer = prepare_unfrozen(settings, settings.device)
    return train_and_save(settings, "unfrozen", model, optimizer, loaders, UNFROZEN_EPOCHS)


def prepare_unfrozen(
    settings: Settings, device: torch.device | str, rate: float = UNFROZEN_RATE
) -> tuple[nn.Module, Optimizer]:
    """The best head on the backbone, both trained on from stage 3 up; `rate` is the head's."""
    model = load_backbone(settings)
    model.fc = fit_head(load_features(settings, "train"))
    model = model.to(device).to(memory_format=torch.channels_last)
    unfreeze_from(model, "stage 3")
    keep_statistics(model)
    return model, torch.optim.Adam(group_parameters(model, rate, RATE_FACTOR))


def train_and_save(
    settings: Settings,
    name: str,
    model: nn.Module,
    optimizer: Optimizer,
    loaders: Loaders,
    epochs: int,
) -> Run:
    """Train with a checkpoint, so that it goes on after an interruption; test once; save."""
    torch.manual_seed(0)
    checkpoint = find_folder(settings, name) / "checkpoint.pt"
    train, validation = loaders.train, loaders.validation
    history = fit(model, train, validation, optimizer, epochs=epochs, checkpoint=checkpoint)
    return save_run(settings, name, model, history, collect_logits(model, loaders.test), loaders)


RECIPES = {  # how a run is made, and which notebook shows it
    "custom_cnn": (make_custom_cnn, "02"),
    "frozen": (make_frozen, "03"),
    "unfrozen": (make_unfrozen, "04"),
}
