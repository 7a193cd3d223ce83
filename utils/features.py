"""A frozen backbone computed once: its features as a `TensorDataset`, and heads trained on them.

A frozen network without randomness is a function: the same image gives the same features in every
epoch. Computing them once and training the head on the table is frozen training without its
repetitions (Donahue et al., 2014, "DeCAF", https://arxiv.org/abs/1310.1531).
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from tqdm.auto import tqdm

from utils.data import count_workers, fingerprint, make_loaders
from utils.download import download_weights
from utils.files import find_places, write_atomically
from utils.models import load_backbone, use_fast_arithmetic
from utils.settings import Settings


@torch.no_grad()
def extract_features(body: nn.Module, loader: Iterable) -> TensorDataset:
    """Features float32 [N, features] and labels int64 [N] of all images, on the CPU.

    `body` is a network whose `fc` is `nn.Identity()`: what comes out is what the head would get.
    """
    body.eval()
    device = next(body.parameters()).device
    features, all_labels = [], []
    for images, labels in tqdm(loader, leave=False):
        features.append(body(images.to(device)).cpu())
        all_labels.append(labels)
    return TensorDataset(torch.cat(features), torch.cat(all_labels))


def load_features(settings: Settings, part: str) -> TensorDataset:
    """The backbone's features of `train`, `validation` or `test`, from disk if they are there.

    Without augmentation, in the order of the split. The file's name changes with everything the
    numbers depend on; a file that is damaged is computed again.
    """
    dataset = getattr(make_loaders(settings, augment=False), part).dataset
    loader = DataLoader(dataset, batch_size=32, num_workers=count_workers(settings))
    with download_weights(settings).open("rb") as weights:  # other weights, other numbers
        beginning = hashlib.sha256(weights.read(1 << 20)).hexdigest()
    depends = [fingerprint(dataset), settings.backbone, settings.precision, beginning]
    digest = hashlib.sha256(json.dumps(depends).encode()).hexdigest()[:16]
    name = f"{part}-{settings.backbone}-{digest}.npz"
    places = find_places(settings, "cache", "features", name)
    for path in places:
        if found := read_features(path, len(dataset)):
            return found
    body = use_fast_arithmetic(load_backbone(settings), settings, training=False)
    body.fc = nn.Identity()
    computed = extract_features(body, loader)
    features, labels = (tensor.numpy() for tensor in computed.tensors)
    write_atomically(places[-1], lambda file: np.savez(file, features=features, labels=labels))
    return computed


def read_features(path: Path, rows: int) -> TensorDataset | None:
    """Features and labels of a file, or None where there is none or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            features, labels = saved["features"], saved["labels"]
    except Exception:  # of many kinds: what is damaged may say anything
        return None
    if features.ndim != 2 or len(features) != rows or features.dtype != np.float32:
        return None
    return TensorDataset(torch.from_numpy(features), torch.from_numpy(labels))


def fit_head(
    features: TensorDataset, weight_decay: float = 1e-3, start: nn.Linear | None = None
) -> nn.Linear:
    """The best linear head for these features: logistic regression, solved with L-BFGS.

    The loss of a linear layer is convex, so there is one best head, and no epochs, learning rate or
    seed to choose. `weight_decay` pulls its weights towards those of `start`, or else towards zero.
    (Not scikit-learn's: beside PyTorch's threads its solver stalls now and then for half a second.)
    """
    values, labels = features.tensors
    head = nn.Linear(values.shape[1], int(labels.max()) + 1)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    if start is not None:
        head.load_state_dict(start.state_dict())
    centre = head.weight.detach().clone()
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def compute_loss() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(head(values), labels)
        loss = loss + weight_decay / 2 * (head.weight - centre).square().sum()
        loss.backward()
        return loss

    optimizer.step(compute_loss)
    return head


def select_per_class(labels: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Row numbers of `count` random images per class, class by class.

    With the same seed, fewer images are a subset of more. A class with fewer gives all it has.
    """
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return torch.cat([shuffled[labels[shuffled] == label][:count] for label in labels.unique()])
