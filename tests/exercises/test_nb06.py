"""Exercises of notebook 06: wrong answers with their hint, unusual right ones."""

import pytest
import torch
from solutions import judge
from torchvision.transforms import v2

from utils.data import read_image


def find_field_backwards(layers):
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return torch.tensor(field)


def record_by_class(model, layers, images, take_away=True):
    class Keeper(dict):
        def __call__(self, module, inputs, output):
            self[names[module]] = output.shape

    keeper, names = Keeper(), {layer: name for name, layer in layers.items()}
    handles = [layer.register_forward_hook(keeper) for layer in layers.values()]
    model(images)
    for handle in handles if take_away else ():
        handle.remove()
    return keeper


def share_by_second(features, labels, second=1):
    order = torch.cdist(features, features).argsort(dim=1)
    return (labels[order[:, second]] == labels).double().mean()


def measure_image(file: str) -> torch.Tensor:
    image = v2.functional.pil_to_tensor(read_image(file).resize((8, 8))).float()
    return (torch.arange(12)[:, None, None, None] * 20 - image).abs().mean(dim=(1, 2, 3))


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("6.1", find_field_backwards),
        ("6.2", record_by_class),
        ("6.3", share_by_second),
        ("6.4", lambda file, count: measure_image(file).topk(count, largest=False).indices),
        ("6.4", lambda file, count: measure_image(file).argsort()[:count].numpy()),
    ],
)
def test_unusual_right_answers(number: str, answer) -> None:
    assert judge(number, answer).endswith("✔ right.")


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("6.1", lambda layers: 1 + sum(kernel - 1 for kernel, _ in layers), "sees 6 pixels, not 4"),
        ("6.1", lambda layers: 22, "sees 3 pixels, not 22"),
        ("6.2", lambda *given: {"last": (5, 2)}, "names ['last']"),
        ("6.2", lambda *given: record_by_class(*given, take_away=False), "your hooks stay"),
        ("6.2", lambda model, layers, images: {n: (5, 2) for n in layers}, "The shapes are"),
        ("6.3", lambda features, labels: share_by_second(features, labels, 0), "that image itself"),
        ("6.3", lambda features, labels: share_by_second(features, labels, -1), "are alike, not"),
        ("6.4", lambda file, count: [0] * count, "5 different"),
        ("6.4", lambda file, count: list(range(8)), "Asked for 5"),
        ("6.4", lambda file, count: torch.randperm(9999)[:count], "the transform for testing"),
        ("6.4", lambda file, count: list(range(count))[::-1], "the two nearest begin"),
        ("6.4", lambda file, count: measure_image(file), "Asked for 5"),
    ],
)
def test_wrong_answers_get_their_hint(number: str, answer, hint: str) -> None:
    said = judge(number, answer)
    assert "✘" in said and hint in said
