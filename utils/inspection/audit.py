"""Looks at a dataset before anything is trained on it: sizes, strays, duplicates, colours."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from tqdm.auto import tqdm

from utils.data import Split, is_picture
from utils.pictures import KINDS, Pictures

HASH_SIDE = 16  # a hash has 16 × 16 bits


def measure_sizes(split: Split) -> np.ndarray:
    """Width and height of every picture file in pixels, int [N, 2]; 0 × 0 where it has none."""
    sizes = []
    for path in tqdm(split.paths, f"sizes of {split.name}", leave=False):
        try:
            with Image.open(path, formats=KINDS) as image:  # reads the header only
                sizes.append(image.size)
        except Exception:  # of many kinds: what is no picture may say anything
            sizes.append((0, 0))
    return np.array(sizes)


def list_strays(folder: Path, classes: tuple[str, ...]) -> list[Path]:
    """Files below the class folders that are no pictures by name, hidden, or empty."""
    found = []
    for class_name in classes:
        class_folder = folder / class_name
        files = (path for path in class_folder.rglob("*") if path.is_file())
        found += [path for path in files if not is_picture(path, class_folder)]
    return sorted(found)


def hash_images(images: np.ndarray) -> torch.Tensor:
    """A perceptual hash for each of the pictures, uint8 [N, H, W, 3] → bool [N, 256].

    The picture is shrunk to 17 × 16 grey values; each bit says whether one is brighter than its
    left neighbour. Scaling, light and JPEG quality hardly change it. (Difference hash, Neal
    Krawetz, 2013, https://www.hackerfactor.com/blog/?/archives/529-Kind-of-Like-That.html)
    """
    grey = torch.from_numpy(np.array(images)).float().mean(dim=3)[:, None]
    small = F.interpolate(grey, (HASH_SIDE, HASH_SIDE + 1), mode="area")[:, 0]
    # One grey value of margin: on even ground, noise would decide.
    return (small[:, :, 1:] > small[:, :, :-1] + 1).flatten(start_dim=1)


def hash_pictures(pictures: Pictures) -> torch.Tensor:
    """The hashes of all pictures, bool [N, 256], a batch at a time."""
    starts = range(0, len(pictures), 64)
    return torch.cat([hash_images(pictures.array[start : start + 64]) for start in starts])


def find_duplicates(
    first: torch.Tensor, second: torch.Tensor, largest_distance: int = 20
) -> list[tuple[int, int, int]]:
    """Pairs (row of first, row of second, differing bits) with nearly the same hash, nearest first.

    `first` and `second` are bool [N, 256] and [M, 256]. Two pictures that have nothing to do with
    each other differ in about half of the bits.
    """
    # Bits as ±1: the product of two hashes is 256 minus twice the number of bits that differ.
    signs = [2 * bits.float() - 1 for bits in (first, second)]
    distances = ((signs[0].shape[1] - signs[0] @ signs[1].T) / 2).round().int()
    rows, columns = (distances <= largest_distance).nonzero(as_tuple=True)
    pairs = [
        (row, column, int(distances[row, column]))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    return sorted(pairs, key=lambda pair: pair[2])


def measure_channels(pictures: Pictures) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of red, green and blue over all pictures, values in 0..1.

    One pass that never holds more than a batch: sums and sums of squares are enough.
    """
    total, squares, count = torch.zeros(3).double(), torch.zeros(3).double(), 0
    for start in range(0, len(pictures), 16):
        images = torch.from_numpy(np.array(pictures.array[start : start + 16])).double() / 255
        total += images.sum(dim=(0, 1, 2))
        squares += images.square().sum(dim=(0, 1, 2))
        count += images[..., 0].numel()
    mean = total / count
    return mean.float(), (squares / count - mean.square()).sqrt().float()
