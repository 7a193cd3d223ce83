"""Checks of the exercises of notebook 01: data and augmentation."""

from collections.abc import Callable

import torch

from utils.exercises import NotTried, ask, checks

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406])
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225])


@checks("1.1")
def check_1_1(denormalize: Callable) -> str | None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 4, 4)
    normalized = (images - IMAGENET_MEAN.view(3, 1, 1)) / IMAGENET_STD.view(3, 1, 1)
    given = ask(denormalize, normalized.clone(), IMAGENET_MEAN, IMAGENET_STD)
    if given.shape != images.shape:
        return f"The shape must stay {tuple(images.shape)}, not {tuple(given.shape)}."
    if torch.allclose(given, normalized * IMAGENET_STD.view(3, 1, 1) - IMAGENET_MEAN.view(3, 1, 1)):
        return "The mean was subtracted: on the way back it is added."
    if torch.allclose(given, images, atol=1e-5):
        return None
    return "Undo the last step first: what was done last when the picture was normalised?"


@checks("1.2")
def check_1_2(measure: Callable) -> str | None:
    torch.manual_seed(0)
    images = torch.rand(70, 3, 8, 8) * torch.tensor([1.0, 0.5, 0.2]).view(3, 1, 1)
    images[64:] *= 0.1  # a short last batch that is unlike the others
    batches = [images[:32], images[32:64], images[64:]]
    mean, std = ask(measure, (batch for batch in batches))
    right = images.mean(dim=(0, 2, 3))
    if torch.allclose(mean, torch.stack([b.mean(dim=(0, 2, 3)) for b in batches]).mean(dim=0)):
        return "That is the mean of the batches' means: the short last batch counts too much."
    if not torch.allclose(mean, right, atol=1e-4):
        return f"The mean is {right.tolist()}, not {torch.as_tensor(mean).tolist()}."
    right_std = images.std(dim=(0, 2, 3), correction=0)
    if not torch.allclose(std, right_std, atol=1e-3):
        return "The mean is right. The variance is the mean of the squares minus the squared mean."
    return None


@checks("1.3")
def check_1_3(choose_view: Callable) -> str | None:
    def random_view(images):
        return images + torch.rand(1)

    def center_view(images):
        return images * 2

    images = torch.ones(1)
    if torch.equal(ask(choose_view, images, "train", random_view, center_view), images * 2):
        return "Training pictures must get random views."
    for part in ("validation", "test"):
        if not torch.equal(ask(choose_view, images, part, random_view, center_view), images * 2):
            return f"The {part} pictures still get random views: every evaluation differs."
    return None


@checks("1.4")
def check_1_4(prepare: Callable) -> str | None:
    images = torch.randint(0, 256, (2, 3, 4, 4), generator=torch.Generator().manual_seed(0)).byte()
    right = (images.float() / 255 - 0.5) / 0.5
    given = ask(prepare, images)
    if torch.allclose(given, (right - 0.5) / 0.5):
        return "This is still normalised twice: values down to -3."
    if torch.allclose(given, right * 255, atol=1) or given.abs().max() > 10:
        return "The values must be scaled to 0..1 once before they are normalised."
    return None if torch.allclose(given, right, atol=1e-5) else "Scale once, normalise once."


@checks("1.5")
def check_1_5(keeps_label: dict[str, set[str]]) -> str | None:
    if all(names is ... for names in keeps_label.values()):
        raise NotTried
    right = {
        "dogs": {"flip left-right", "rotate 10°", "brightness", "small crop"},
        "digits": {"rotate 10°", "brightness", "small crop"},
        "X-rays": {"rotate 10°", "brightness", "small crop"},
    }
    reasons = {
        "flip left-right": "a mirrored digit is no digit, and in a mirrored chest the heart is on "
        "the wrong side, which is a diagnosis",
        "flip upside down": "a 6 becomes a 9, and nobody takes photographs of dogs upside down",
        "rotate 180°": "a 6 becomes a 9, and nobody takes photographs of dogs upside down",
        "rotate 10°": "a hand or a camera is never quite straight",
        "brightness": "light is not what makes the class",
        "small crop": "most of the picture is still there",
    }
    for subject, transforms in right.items():
        if keeps_label.get(subject, ...) is ...:
            return f"{subject} are still missing."
        wrong = set(keeps_label[subject]) ^ transforms
        if wrong:
            name = sorted(wrong)[0]
            reason = reasons.get(name, "it is not in the list")
            return f"For {subject}, think again about {name!r}: {reason}."
    return None
