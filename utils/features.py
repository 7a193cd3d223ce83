"""A frozen backbone computed once: features on disk, and heads trained on them in seconds.

A frozen network without randomness is a function: the same picture gives the same features in every
epoch. Computing them once and training the head on the table is the article's frozen training
without its repetitions (Donahue et al., 2014, "DeCAF", https://arxiv.org/abs/1310.1531).
"""

import hashlib
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from utils.augmentation import crop_center
from utils.files import find_places, write_atomically
from utils.models import load_backbone, remove_head
from utils.pictures import Pictures, make_loader
from utils.settings import Settings
from utils.training import INFERENCE_BATCH, LAYOUT, Evaluation, autocast
from utils.weights import Preprocessing, fetch_weights, hash_weights


@dataclass(frozen=True)
class Features:
    """A split as the backbone sees it."""

    values: torch.Tensor  # float32 [N, features]
    labels: torch.Tensor  # int64 [N]
    classes: tuple[str, ...]
    key: str  # changes with pictures, weights, preprocessing, precision and view
    seconds: float  # what computing them took, when they were computed

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows) -> "Features":
        """The pictures with these row numbers, in this order."""
        rows = torch.as_tensor(rows)
        part = len(rows) / len(self)
        return replace(
            self, values=self.values[rows], labels=self.labels[rows], seconds=self.seconds * part
        )

    def join(self, other: "Features") -> "Features":
        """These and `other` views of the same classes, one after the other."""
        return replace(
            self,
            values=torch.cat([self.values, other.values]),
            labels=torch.cat([self.labels, other.labels]),
            seconds=self.seconds + other.seconds,
        )


def extract_features(
    settings: Settings, pictures: Pictures, preprocessing: Preprocessing, mirror: bool = False
) -> Features:
    """The backbone's features of every picture (or its mirror picture), from disk if there.

    The file's name carries a hash of everything the numbers depend on. A file that is damaged or of
    another shape is computed again.
    """
    key = name_features(settings, pictures, preprocessing, mirror)
    places = find_places(settings.home, "cache", "features", f"{key}.npz")
    found = next(filter(None, (read_features(path, len(pictures)) for path in places)), None)
    if found is None:
        start = time.perf_counter()
        backbone = remove_head(load_backbone(settings.backbone))
        values = compute_features(backbone, pictures, preprocessing, settings, mirror)
        found = values, time.perf_counter() - start
        write_features(places[-1], *found)
    values, seconds = found
    labels = torch.from_numpy(pictures.split.labels)
    return Features(torch.from_numpy(values), labels, pictures.split.classes, key, seconds)


def name_features(
    settings: Settings, pictures: Pictures, preprocessing: Preprocessing, mirror: bool
) -> str:
    """A file name that changes with everything the features depend on."""
    weights = fetch_weights(settings.backbone)
    parts = {
        "pictures": pictures.key,
        "weights": hash_weights(weights),
        "preprocessing": str(preprocessing),
        "precision": settings.precision,
        "mirror": mirror,
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return f"{pictures.split.name}-{settings.backbone}-{digest}"


def read_features(path: Path, rows: int) -> tuple[np.ndarray, float] | None:
    """Features and the seconds they took, or None where there are none or they are damaged."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            values, seconds = saved["values"], float(saved["seconds"])
    except Exception:  # of many kinds: what is damaged may say anything
        return None
    fits = values.ndim == 2 and len(values) == rows and values.dtype == np.float32
    return (values, seconds) if fits else None


def write_features(path: Path, values: np.ndarray, seconds: float) -> None:
    """What `read_features` reads: whole, or not there."""
    write_atomically(path, lambda file: np.savez(file, values=values, seconds=seconds))


@torch.inference_mode()
def compute_features(
    backbone: nn.Module,
    pictures: Pictures,
    preprocessing: Preprocessing,
    settings: Settings,
    mirror: bool = False,
) -> np.ndarray:
    """float32 [N, features] of a network without head: one forward pass, no gradients kept."""
    backbone.to(settings.device, memory_format=LAYOUT).eval()
    blocks = []
    loader = make_loader(pictures, INFERENCE_BATCH[settings.device])
    for images, _ in tqdm(loader, f"features of {pictures.split.name}", leave=False):
        inputs = crop_center(images.to(settings.device), preprocessing)
        if mirror:
            inputs = inputs.flip(-1)
        with autocast(settings.device, settings.precision):
            outputs = backbone(inputs.contiguous(memory_format=LAYOUT))
        blocks.append(outputs.float().cpu())
    return torch.cat(blocks).numpy()


def fit_head(features: Features, weight_decay: float = 1e-3) -> nn.Linear:
    """The best linear head for these features: logistic regression, solved with L-BFGS.

    The loss of a linear layer is convex, so there is one best head, and no epochs, learning rate or
    seed to choose. `weight_decay` keeps it finite where the classes can be separated without error.
    """
    head = nn.Linear(features.values.shape[1], len(features.classes))
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def compute_loss() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(head(features.values), features.labels)
        loss = loss + weight_decay / 2 * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(compute_loss)
    return head.requires_grad_(False)


def train_head(
    features: Features,
    epochs: int,
    learning_rate: float = 0.001,
    batch_size: int = 32,
    seed: int = 0,
) -> nn.Linear:
    """A head trained as in the article (Adam, batches, epochs), on features not pictures."""
    torch.manual_seed(seed)
    head = nn.Linear(features.values.shape[1], len(features.classes))
    optimizer = torch.optim.Adam(head.parameters(), lr=learning_rate)
    for _ in range(epochs):
        for rows in torch.randperm(len(features)).split(batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(head(features.values[rows]), features.labels[rows])
            loss.backward()
            optimizer.step()
    return head.requires_grad_(False)


def draw_per_class(labels: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Row numbers of `count` random pictures of each class, class by class.

    With the same seed, fewer pictures are a part of more. A class with fewer gives all it has.
    """
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return torch.cat([shuffled[labels[shuffled] == label][:count] for label in labels.unique()])


def evaluate_head(head: nn.Linear, features: Features) -> Evaluation:
    """The head's logits for every picture."""
    with torch.inference_mode():
        return Evaluation(head(features.values), features.labels)
