"""Checks of the exercises of notebook 03: the frozen backbone."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises import ask, checks


def make_small_network(number_of_classes: int = 10) -> nn.Module:
    """A network of [N, 3, 64, 64] with the parts that pretrained ones have: batch norm and `fc`."""
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("conv", nn.Conv2d(3, 8, 3, stride=4))
    model.add_module("norm", nn.BatchNorm2d(8))
    model.add_module("pool", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("fc", nn.Linear(8, number_of_classes))
    return model


@checks("3.1")
def check_3_1(prepare: Callable) -> str | None:
    model = ask(prepare, make_small_network(), 3)
    if model.fc.out_features != 3 or tuple(model.fc.weight.shape) != (3, 8):
        return "The new head must have one output a class."
    if not all(parameter.requires_grad for parameter in model.fc.parameters()):
        return "The new head is frozen, so nothing can learn: put it in after freezing."
    body = [p for name, p in model.named_parameters() if not name.startswith("fc.")]
    return "The backbone is not frozen." if any(p.requires_grad for p in body) else None


@checks("3.2")
def check_3_2(count_logits: Callable) -> str | None:
    model = make_small_network(10)
    model.fc.out_features = 2
    given = ask(count_logits, model)
    if given == 2:
        return "2 is what the layer's description says. What comes out of the network?"
    return None if given == 10 else f"The network gives 10 logits, not {given}."


@checks("3.3")
def check_3_3(has_drifted: Callable) -> str | None:
    before, same, moved, trained = (make_small_network() for _ in range(4))
    moved.train()(torch.randn(8, 3, 64, 64))
    with torch.no_grad():
        trained.fc.weight += 1
    if ask(has_drifted, before, same):
        return "Two equal copies have not drifted."
    if not ask(has_drifted, before, moved):
        return "The running statistics of one copy moved, and your function does not see it."
    if ask(has_drifted, before, trained):
        return "A trained head is no drift: compare buffers."
    return None


@checks("3.4")
def check_3_4(classify: Callable) -> str | None:
    torch.manual_seed(0)
    labels = torch.arange(3).repeat(20)
    features = F.one_hot(labels, 3) * 4.0 + torch.randn(60, 3)
    new = torch.eye(3) * 4
    new_classes = ask(classify, features, labels, new, 5)
    if not isinstance(new_classes, torch.Tensor) or new_classes.shape != (3,):
        return "The answer must be one class number for each new row."
    if not torch.equal(new_classes, torch.arange(3)):
        return "Three points in the middle of three classes must get these classes."
    near = torch.tensor([[0.25], [0.5], [0.6], [5.0], [6.0]])
    votes = ask(classify, near, torch.tensor([1, 0, 0, 1, 1]), torch.tensor([[0.3]]), 3)
    return None if votes.item() == 0 else "Of the three nearest, two are of class 0: count votes."


@checks("3.5")
def check_3_5(look_twice: Callable) -> str | None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 6, 5))  # sees where a pixel is
    images = torch.randn(2, 3, 4, 6)
    with torch.no_grad():
        once, mirrored, upside_down = (model(x) for x in (images, images.flip(-1), images.flip(-2)))
        given = ask(look_twice, model, images)
    if not isinstance(given, torch.Tensor) or given.shape != once.shape:
        return f"The answer must be logits of the shape {tuple(once.shape)}."
    if torch.allclose(given, (once + mirrored) / 2, atol=1e-5):
        return None
    hints = {
        "That is one look: the mirror pictures are missing.": once,
        "That is the sum of both: halve it, so that it is a mean.": once + mirrored,
        "That turns the pictures upside down: left and right are the last axis.": (
            (once + upside_down) / 2
        ),
        "That averages probabilities: here it is the logits.": (
            (once.softmax(dim=1) + mirrored.softmax(dim=1)) / 2
        ),
    }
    for hint, wrong in hints.items():
        if torch.allclose(given, wrong, atol=1e-5):
            return hint
    return "Add the logits of the pictures and of their mirror pictures, and halve the sum."


@checks("3.6")
def check_3_6(train_three: Callable) -> str | None:
    torch.manual_seed(0)
    centres = 2 * torch.randn(3, 16)
    labels = torch.arange(3).repeat(60)
    features = centres[labels] + torch.randn(180, 16)
    head = ask(train_three, features[:90].clone(), labels[:90].clone())
    if not isinstance(head, nn.Module):
        return "The function must return the head, an nn.Linear."
    with torch.no_grad():
        logits = head(features[90:])
    if logits.shape != (90, 3):
        return f"Three classes need three logits a picture, not {tuple(logits.shape)[1:]}."
    correct = (logits.argmax(dim=1) == labels[90:]).sum().item()
    if correct >= 80:
        return None
    return f"It gets {correct} of 90 new features right: has it been trained, and long enough?"
