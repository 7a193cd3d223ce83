"""A small network and small data for tests of the loop: noise on two levels, one per class."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def make_small_network(number_of_classes: int = 2) -> nn.Module:
    """A network of [N, 3, 16, 16] with what pretrained ones have: batch norm, dropout and `fc`."""
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("conv", nn.Conv2d(3, 8, 3, stride=4))
    model.add_module("norm", nn.BatchNorm2d(8))
    model.add_module("pool", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("dropout", nn.Dropout(0.3))
    model.add_module("fc", nn.Linear(8, number_of_classes))
    return model


def make_loader(count: int = 20, seed: int = 0, shuffle: bool = True) -> DataLoader:
    """Batches of eight images of noise; the last one is short."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = torch.rand(count, 3, 16, 16, generator=generator) + labels.view(-1, 1, 1, 1)
    return DataLoader(TensorDataset(images, labels), batch_size=8, shuffle=shuffle)
