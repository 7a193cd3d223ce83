"""A small network and small data for tests of the loop: noise on two levels, one per class."""

import torch
from torch.utils.data import DataLoader, TensorDataset

from utils.exercises.nb03 import make_small_network

__all__ = ["make_small_network"]


def make_loader(count: int = 20, seed: int = 0, shuffle: bool = True) -> DataLoader:
    """Batches of eight images of noise; the last one is short."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = torch.rand(count, 3, 16, 16, generator=generator) + labels.view(-1, 1, 1, 1)
    return DataLoader(TensorDataset(images, labels), batch_size=8, shuffle=shuffle)
