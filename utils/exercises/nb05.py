"""Checks of the exercises of notebook 05: inspecting and predicting."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from utils.exercises import ask, checks


@checks("5.1")
def check_5_1(compute_error: Callable) -> str | None:
    # Two bins are filled: 0.55 (6 of 8 right) and 0.95 (1 of 2 right).
    confidence = torch.tensor([0.55] * 8 + [0.95] * 2)
    correct = torch.tensor([True] * 6 + [False] * 2 + [True, False])
    given = float(ask(compute_error, confidence, correct))
    if abs(given - 0.25) < 1e-4:
        return None if _check_other_bins(compute_error) else "It is right here, not in general."
    hints = {
        0.325: "Each bin counts by its pictures: a bin of eight weighs more than a bin of two.",
        0.07: "Gaps of different sign must not cancel: take each bin's absolute value.",
        -0.07: "Gaps of different sign must not cancel: take each bin's absolute value.",
        2.5: "Divide by the number of pictures.",
    }
    near = [hint for value, hint in hints.items() if abs(given - value) < 1e-4]
    return near[0] if near else f"Ten pictures in two bins give 0.25, not {given:.4f}."


def _check_other_bins(compute_error: Callable) -> bool:
    """Bins of a tenth, all filled: other widths and forgotten bins give another number."""
    torch.manual_seed(0)
    confidence = 0.5 + torch.rand(400) / 2
    correct = torch.rand(400) < 0.7
    right = 0.0
    for low in range(10):
        inside = (confidence > low / 10) & (confidence <= (low + 1) / 10)
        if inside.any():
            gap = correct[inside].double().mean() - confidence[inside].double().mean()
            right += abs(float(gap)) * float(inside.double().mean())
    return abs(float(ask(compute_error, confidence, correct)) - right) < 1e-4


@checks("5.2")
def check_5_2(find_threshold: Callable) -> str | None:
    torch.manual_seed(0)
    for count in (1000, 400):
        scores = torch.rand(count)
        is_dog = torch.rand(count) < scores**0.05
        is_dog[scores.argsort(descending=True)[:3]] = torch.tensor([True, False, True])
        precisions = {
            float(score): is_dog[scores >= score].float().mean().item() for score in scores
        }
        right = min(score for score, precision in precisions.items() if precision >= 0.99)
        given = float(ask(find_threshold, scores, is_dog, 0.99))
        called = scores >= given
        if not called.any():
            return "Nothing is called a dog at this threshold."
        precision = is_dog[called].float().mean().item()
        if precision < 0.99 - 1e-6:
            return f"At {given:.4f} only {precision:.1%} of what is called a dog is one."
        best = (scores >= right).sum().item()
        if called.sum().item() < best:
            return (
                f"At {given:.4f} the precision is reached for {called.sum().item()} pictures, but "
                f"a lower threshold reaches it for {best}: precision does not fall steadily."
            )
    return None


class MapNetwork(nn.Module):
    """A small network with maps: [N, 3, 16, 16] → [N, 4, 8, 8] → logits [N, 3]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.maps = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.maps(images)).mean(dim=(2, 3)))


@checks("5.3")
def check_5_3(compute_map: Callable) -> str | None:
    model = MapNetwork().eval()
    torch.manual_seed(4)
    for target in (0, 2):
        image = torch.randn(1, 3, 16, 16)
        maps = model.maps(image).detach().requires_grad_()
        logits = model.head(torch.tanh(maps).mean(dim=(2, 3)))
        slopes = torch.autograd.grad(logits[0, target], maps)[0][0]
        maps = maps.detach()[0]
        signed = (slopes.mean(dim=(1, 2))[:, None, None] * maps).sum(dim=0)
        given = torch.as_tensor(ask(compute_map, model, model.maps, image, target)).detach()
        given = given.squeeze().float()
        if given.shape != signed.shape:
            return f"The map must be {tuple(signed.shape)} fields, not {tuple(given.shape)}."
        if torch.allclose(given, signed, atol=1e-5):
            return "Only what speaks for the class is shown: set negative values to zero."
        if torch.allclose(given, (slopes * maps).sum(dim=0).clamp(min=0), atol=1e-5):
            return "Each channel has one weight: the mean of its gradient over the places."
        if torch.allclose(given, maps.sum(dim=0).clamp(min=0), atol=1e-5):
            return "Weight the channels by their gradients before summing them."
        scaled = signed.clamp(min=0)
        if not torch.allclose(given / given.max(), scaled / scaled.max(), atol=1e-4):
            return "The map is not that of this class: whose gradient did you take?"
    left = len(model.maps._forward_hooks) + len(model.maps._backward_hooks)
    return "Right, but your hooks are still there: call remove() on each." if left else None


@checks("5.4")
def check_5_4(predict: Callable) -> str | None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(4, 2),
    ).train()  # fmt: skip
    images = torch.randn(6, 3, 8, 8) * 2 + 1
    reference = nn.Sequential(*model).eval()
    with torch.inference_mode():
        right = reference(images).softmax(dim=1)
    model.train()
    before = model[1].running_mean.clone()
    given = ask(predict, model, images)
    if not torch.equal(model[1].running_mean, before):
        return "The running statistics of batch norm moved while predicting: which mode is it in?"
    if given.requires_grad:
        return "Nothing is learned here: predict without gradients."
    if torch.allclose(given, right, atol=1e-5):
        alone = ask(predict, model.train(), images[:1])
        return None if torch.allclose(alone, right[:1], atol=1e-5) else "Alone it differs."
    if torch.allclose(given.softmax(dim=1), right, atol=1e-5):
        return "These are logits: make probabilities of them."
    return "Another answer each time: dropout is still dropping."


@checks("5.5")
def check_5_5(prepare: Callable) -> str | None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = 255, 51  # OpenCV's order: blue first
    pixels[0, :, 1] = 102  # a green line at the top
    pixels[:, 0, 1] = 204  # and another one on the left
    given = ask(prepare, pixels)
    if not isinstance(given, torch.Tensor) or given.shape != (3, 4, 6):
        return f"A float tensor of (3, 4, 6) is wanted, not {tuple(getattr(given, 'shape', ()))}."
    right = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1).float() / 255
    if torch.allclose(given, right, atol=1e-4):
        return None
    if torch.allclose(given.float(), right * 255, atol=0.5):
        return "The order is right; the values must lie between 0 and 1."
    if torch.allclose(given, right.flip(0), atol=1e-4):
        return "Blue still comes first: the network takes it for red."
    for dims, what in (((0, 1), "upside down"), ((0, 2), "mirrored"), ((1,), "upside down")):
        if torch.allclose(given, right.flip(dims), atol=1e-4):
            return f"The picture is {what} now: turn the channels round, not the places."
    return "Red, green, blue, each from 0 to 1: that is not what comes out."
