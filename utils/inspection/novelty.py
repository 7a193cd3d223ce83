"""Whether an image is like anything the network was trained on (out-of-distribution detection).

A softmax must choose one of its classes, whatever it is shown. How far an image's features are from
those of the training images says more (Sun et al., 2022, https://arxiv.org/abs/2204.06507).
"""

import numpy as np
import torch
from torch.nn import functional as F

PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "brick", "grass", "gravel", "moon", "camera")


def measure_distances(
    features: torch.Tensor, training: torch.Tensor, neighbours: int = 5
) -> torch.Tensor:
    """Distance of each row [N, features] to its fifth-nearest training row [M, features].

    Rows are scaled to length 1 first: distances are from 0 (same direction) to 2 (opposite).
    """
    distances = torch.cdist(F.normalize(features), F.normalize(training))
    count = min(neighbours, len(training))
    return distances.kthvalue(count, dim=1).values


def find_threshold(distances: torch.Tensor, false_alarms: float = 0.05) -> float:
    """The distance that only `false_alarms` of these ordinary images lie beyond."""
    return float(np.quantile(distances.numpy(), 1 - false_alarms, method="higher"))


def load_strangers() -> dict[str, np.ndarray]:
    """Photographs without an animal, uint8 [H, W, 3] each, by name: free ones of scikit-image."""
    import skimage.data
    from skimage.color import gray2rgb

    found = {name: getattr(skimage.data, name)() for name in PHOTOGRAPHS}
    return {name: gray2rgb(image) if image.ndim == 2 else image for name, image in found.items()}
