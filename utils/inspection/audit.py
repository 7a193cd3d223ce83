"""Looks at a dataset before anything is trained on it: images that are there twice."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

HASH_SIDE = 16  # a hash has 16 × 16 bits
LARGEST_DISTANCE = 32  # bits; unlike images differ in about 128


def hash_image(image: Image.Image) -> np.ndarray:
    """The perceptual hash of an image, bool [256]: which of its coarse waves are strong.

    Scaling, light and JPEG quality hardly change it (`phash` of ImageHash).
    """
    from imagehash import phash  # brings SciPy's transforms: half a second that others need not pay

    return phash(image, HASH_SIDE).hash.flatten()


def hash_files(paths: Sequence[str | Path]) -> np.ndarray:
    """The hashes of all image files, bool [N, 256], with one thread a core."""

    def hash_file(path: str | Path) -> np.ndarray:
        with Image.open(path) as image:
            image.draft("L", (128, 128))  # a JPEG is read small and grey, in a third of the time
            return hash_image(image)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hashes = list(tqdm(pool.map(hash_file, paths), total=len(paths), leave=False))
    return np.array(hashes, bool).reshape(-1, HASH_SIDE**2)


def find_duplicates(
    first: np.ndarray, second: np.ndarray, largest_distance: int = LARGEST_DISTANCE
) -> list[tuple[int, int, int]]:
    """Pairs (row of first, row of second, differing bits) with nearly the same hash, nearest first.

    `first` and `second` are bool [N, 256] and [M, 256].
    """
    # Bits as ±1: the product of two hashes is 256 minus twice the number of bits that differ.
    signs = [2 * bits.astype(np.float32) - 1 for bits in (first, second)]
    distances = ((first.shape[1] - signs[0] @ signs[1].T) / 2).round().astype(int)
    rows, columns = (distances <= largest_distance).nonzero()
    pairs = zip(rows.tolist(), columns.tolist(), distances[rows, columns].tolist(), strict=True)
    return sorted(pairs, key=lambda pair: pair[2])
