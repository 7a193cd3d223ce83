"""Checks of the exercises of notebook 06: inside the network."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from utils.exercises import ask, checks


@checks("6.1")
def check_field(find_field: Callable) -> str | None:
    for layers in ([(3, 1)], [(2, 2), (3, 1)], [(3, 1), (2, 2)] * 3, [(7, 2), (3, 2), (3, 1)]):
        right, stride = 1, 1
        for kernel, step in layers:
            right, stride = right + (kernel - 1) * stride, stride * step
        given = ask(find_field, layers)
        if given != right:
            return f"Through the layers {layers} one value sees {right} pixels, not {given}."
    return None


@checks("6.2")
def check_record(record_shapes: Callable) -> str | None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    layers, images = (
        {"first": model[0], "third": model[2], "last": model[3]},
        torch.rand(5, 3, 8, 8),
    )
    given = {
        name: tuple(shape) for name, shape in ask(record_shapes, model, layers, images).items()
    }
    right = {"first": (5, 4, 6, 6), "third": (5, 144), "last": (5, 2)}
    if given.keys() != right.keys():
        return f"There are three layers, and your answer names {list(given)}."
    if given != right:
        return f"The shapes are {right}, not {given}."
    if any(layer._forward_hooks for layer in model):
        return "The shapes are right, but your hooks stay: remove each of them after the images."
    return None


@checks("6.3")
def check_share(share_alike: Callable) -> str | None:
    labels = torch.arange(40) % 4
    torch.manual_seed(0)
    features = 3 * F.one_hot(labels, 6) + torch.randn(40, 6)
    distances = torch.cdist(features, features).fill_diagonal_(torch.inf)
    right = (labels[distances.argmin(dim=1)] == labels).float().mean().item()
    given = float(ask(share_alike, features.clone(), labels.clone()))
    if given == 1:
        return "All alike: the nearest image to an image still is that image itself."
    if abs(given - right) > 1e-4:
        return f"On a test of 40 images {right:.3f} of the nearest are alike, not {given:.3f}."
    return None


@checks("6.4")
def check_like(find_like: Callable) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        for mode in ("RGB", "RGBA", "L"):  # a photograph, a paint program, a scan
            file = str(Path(folder) / f"{mode}.png")
            Image.effect_noise((300, 200), 60).convert(mode).save(file)
            five, again = (torch.as_tensor(ask(find_like, file, 5)).tolist() for _ in range(2))
            if len(set(five)) != 5 or any(row != int(row) or row < 0 for row in five):
                return f"Asked for 5 images, it must name 5 different row numbers, not {five}."
            if five != again:
                return "The same file finds others the second time: take the transform for testing."
            if torch.as_tensor(ask(find_like, file, 2)).tolist() != five[:2]:
                return "The nearest come first: the two nearest begin the list of five."
    return None
