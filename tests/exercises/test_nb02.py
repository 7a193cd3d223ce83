"""Exercises of notebook 02: wrong answers with their hint, unusual right ones."""

import pytest
import torch
from solutions import judge
from torch import nn
from torch.nn import functional as F


def step_without_zero(model, images, labels, optimizer):
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def step_with_zero_at_the_end(model, images, labels, optimizer):
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()  # which sets the gradients to None
    return loss.item()


def step_without_backward(model, images, labels, optimizer):
    optimizer.zero_grad()
    optimizer.step()
    return F.cross_entropy(model(images), labels).item()


def step_by_hand(model, images, labels, optimizer):
    loss = F.cross_entropy(model(images), labels)
    for parameter, gradient in zip(
        model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True
    ):
        parameter.grad = gradient
    optimizer.step()
    return loss.detach()


class Stage(nn.Module):
    """Without nn.Sequential, and with the padding many write: right as well."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return F.relu(F.max_pool2d(self.norm(self.conv(images)), 2))


def accuracy_with_cat(batches):
    logits, labels = (torch.cat(each) for each in zip(*batches, strict=True))
    return (logits.argmax(1) == labels).float().mean()


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("2.1", lambda n, k, s, p: int((n + 2 * p - k) / s) + 1),
        ("2.1", lambda n, k, s, p: len(range(0, n + 2 * p - k + 1, s))),
        ("2.2", 110018.0),
        ("2.3", accuracy_with_cat),
        ("2.4", step_by_hand),
        ("2.4", step_with_zero_at_the_end),
        ("2.5", Stage),
        ("2.6", (0.70, 0.80, 0.74)),
    ],
)
def test_unusual_right_answers(number: str, answer) -> None:
    assert judge(number, answer).endswith("✔ right.")


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("2.1", lambda n, k, s, p: (n - k) // s + 1, "give"),
        ("2.1", lambda n, k, s, p: (n + 2 * p - k) / s + 1, "give"),
        ("2.2", 11_169_218, "with flattening"),
        ("2.2", 109_664, "bias"),
        ("2.3", lambda b: sum((x.argmax(1) == y).float().mean() for x, y in b) / 2, "batch means"),
        ("2.3", lambda b: sum((x.argmax(1) == y).sum() for x, y in b), "between 0 and 1"),
        ("2.4", lambda m, x, y, o: (o.zero_grad(), o.step(), 0.7)[2], "backward"),
        ("2.4", step_without_backward, "backward"),
        ("2.4", step_without_zero, "zero_grad"),
        ("2.5", lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3), nn.ReLU()), "there are 0"),
        (
            "2.5",
            lambda i, o: nn.Sequential(
                nn.Conv2d(i, o, 3), nn.ReLU(), nn.BatchNorm2d(o), nn.MaxPool2d(2)
            ),
            "both signs",
        ),
        ("2.6", (75.3, 80.0, 74.0), "between 0 and 1"),
        ("2.6", (0.75, 0.7, 0.9), "swapped"),
    ],
)
def test_wrong_answers_get_their_hint(number: str, answer, hint: str) -> None:
    said = judge(number, answer)
    assert "✘ not yet" in said and hint in said
