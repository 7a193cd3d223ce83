"""Whether a picture is like anything the network was trained on.

A softmax must choose one of its classes, whatever it is shown. How far a picture's features are
from those of the training pictures says more (Sun et al., 2022, https://arxiv.org/abs/2204.06507).
"""

import numpy as np
import torch

from utils.sample_scenes import choose_light, draw_place

NEIGHBOURS = 5
FALSE_ALARMS = 0.05  # the part of ordinary pictures that may be called strange


def measure_distances(
    values: torch.Tensor, training: torch.Tensor, neighbours: int = NEIGHBOURS
) -> torch.Tensor:
    """Distance of each row, [N, features], to its fifth-nearest training row, [M, features].

    Rows are scaled to length 1 first, so distances are 0 (same direction) to 2 (opposite).
    """
    rows, known = (torch.nn.functional.normalize(v, dim=1) for v in (values, training))
    blocks = [torch.cdist(block, known) for block in rows.split(256)]
    neighbours = min(neighbours, len(training))
    return torch.cat([b.kthvalue(neighbours, dim=1).values for b in blocks])


def find_threshold(distances: torch.Tensor, false_alarms: float = FALSE_ALARMS) -> float:
    """The distance that only `false_alarms` of these ordinary pictures lie beyond."""
    return float(np.quantile(distances.numpy(), 1 - false_alarms, method="higher"))


def draw_strangers(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Pictures without an animal, uint8 [count, size, size, 3]: drawn places, every fourth a
    pattern (checks, stripes, rings, a smooth blend)."""
    generator = np.random.default_rng(seed)
    drawn = []
    for number in range(count):
        if number % 4 == 3:
            drawn.append(draw_pattern(generator, size, number // 4))
        else:
            light, horizon = choose_light(generator), generator.uniform(0.4, 0.7)
            place = draw_place(generator, size, light, horizon, unit=0.3 * size)
            drawn.append(place.astype(np.uint8))
    return np.stack(drawn)


def draw_pattern(generator: np.random.Generator, size: int, kind: int) -> np.ndarray:
    """One of four patterns in two random colours, uint8 [size, size, 3]."""
    y, x = np.mgrid[0:size, 0:size] / size
    count = int(generator.integers(3, 9))
    first, second = generator.integers(0, 256, (2, 3))
    part = (
        (np.floor(x * count) + np.floor(y * count)) % 2,
        np.floor((x + y) * count) % 2,
        np.floor(np.hypot(x - 0.5, y - 0.5) * 2 * count) % 2,
        (x + y) / 2,
    )[kind % 4][..., None]
    return (first * part + second * (1 - part)).astype(np.uint8)
