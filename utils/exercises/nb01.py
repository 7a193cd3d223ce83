"""Checks of the exercises of notebook 01: data and augmentation."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from utils.exercises import NotTried, ask, checks

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406])
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225])
IMAGES_PER_CLASS = 10


@checks("1.1")
def check_undo_normalize(undo_normalize: Callable) -> str | None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 4, 4)
    mean, std = IMAGENET_MEAN.view(3, 1, 1), IMAGENET_STD.view(3, 1, 1)
    normalized = (images - mean) / std
    given = ask(undo_normalize, normalized.clone(), IMAGENET_MEAN, IMAGENET_STD)
    given = torch.as_tensor(given).float()
    if given.shape != images.shape:
        return f"The shape must stay {tuple(images.shape)}, not {tuple(given.shape)}."
    if torch.allclose(given, images, atol=1e-5):
        return None
    if torch.allclose(given, normalized * std - mean, atol=1e-5):
        return "The mean is subtracted once more: it has to be added."
    if torch.allclose(given, (normalized + mean) * std, atol=1e-5):
        return "What was done last is undone first: normalising divides last."
    return "Normalising subtracts the mean and then divides by the standard deviation: undo both."


@checks("1.2")
def check_measure(measure: Callable) -> str | None:
    torch.manual_seed(0)
    images = torch.rand(70, 3, 8, 8) * torch.tensor([1.0, 0.5, 0.2]).view(3, 1, 1)
    images[64:] *= 0.1  # a short last batch that is unlike the others
    batches = [images[:32], images[32:64], images[64:]]
    given = ask(measure, (batch for batch in batches))
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        return "Return two things: the mean of each channel, and the standard deviation of each."
    mean, std = (torch.as_tensor(each).float().flatten() for each in given)
    if mean.shape != (3,) or std.shape != (3,):
        return "Three numbers each: one per channel."
    right = images.mean(dim=(0, 2, 3))
    if torch.allclose(mean, torch.stack([b.mean(dim=(0, 2, 3)) for b in batches]).mean(dim=0)):
        return "That is the mean of the batch means: the short last batch counts too much."
    if not torch.allclose(mean, right, atol=1e-4):
        return f"The mean is {show(right)}, not {show(mean)}."
    right_std = images.std(dim=(0, 2, 3), correction=0)
    if torch.allclose(std, right_std.square(), atol=1e-4):
        return "The mean is right. That is the variance: take its square root."
    if not torch.allclose(std, right_std, atol=1e-3):
        return "The mean is right. The variance is the mean of the squares minus the squared mean."
    return None


def show(numbers: torch.Tensor) -> str:
    return ", ".join(f"{number:.3f}" for number in numbers.tolist())


@checks("1.3")
def check_make_sets(make_sets: Callable) -> str | None:
    noise = v2.Lambda(lambda image: image + torch.rand(1))
    to_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32)])
    with tempfile.TemporaryDirectory() as root:
        for number in range(2 * IMAGES_PER_CLASS):  # each in a grey of its own
            folder = Path(root) / "cd"[number % 2]
            folder.mkdir(exist_ok=True)
            Image.new("RGB", (4, 4), (10 * number,) * 3).save(folder / f"{number}.png")
        sets = ask(make_sets, Path(root), v2.Compose([to_tensor, noise]), to_tensor)
        if not isinstance(sets, (tuple, list)) or len(sets) != 2:
            return "Return two sets: the training images, and the images that are held out."
        train, held_out = sets
        looks = [[image for image, _ in held_out] for _ in range(2)]
        train_looks = [[image for image, _ in train] for _ in range(2)]
    if not all(torch.equal(first, second) for first, second in zip(*looks, strict=True)):
        return "The held-out images still change from one look to the next."
    if any(image.frac().any() for image in looks[0]):
        return "The same image twice is equal now, but it is not what test_transform makes of it."
    if all(torch.equal(first, second) for first, second in zip(*train_looks, strict=True)):
        return "The training images have lost their random changes."
    greys = [
        {int(image.flatten()[0]) // 10 for image in each} for each in (looks[0], train_looks[0])
    ]
    if greys[0] & greys[1]:
        return "Some images are in both sets: that is leakage."
    if len(greys[0] | greys[1]) < 2 * IMAGES_PER_CLASS:
        return "Some images are in neither set."
    return None


@checks("1.4")
def check_keeps_label(keeps_label: dict[str, set[str]]) -> str | None:
    if all(names is ... for names in keeps_label.values()):
        raise NotTried
    right = {
        "dogs": {"flip left-right", "rotate 10°", "brightness", "crop 10 % off"},
        "digits": {"rotate 10°", "brightness", "crop 10 % off"},
        "X-rays": {"rotate 10°", "brightness", "crop 10 % off"},
    }
    upside_down = "a 6 becomes a 9, and nobody takes dogs or X-rays upside down"
    reasons = {
        "flip left-right": "most mirrored digits are no digits, a mirrored dog is a dog, and in a "
        "mirrored chest the heart is on the wrong side, which is a diagnosis",
        "flip upside down": upside_down,
        "rotate 180°": upside_down,
        "rotate 10°": "a hand or a camera is never quite straight",
        "brightness": "light is not what makes the class",
        "crop 10 % off": "most of the image is still there",
    }
    for subject, transforms in right.items():
        names = keeps_label.get(subject, ...)
        if names is ...:
            return f"{subject} are still missing."
        wrong = ({names} if isinstance(names, str) else set(names)) ^ transforms
        if wrong:
            name = sorted(wrong)[0]
            reason = reasons.get(name, "it is not in the list")
            return f"For {subject}, think again about {name!r}: {reason}."
    return None


@checks("1.5")
def check_own_images(answer: tuple[str, Callable]) -> str | None:
    name, count_images = answer
    if not Path(name).expanduser().is_dir():
        raise NotTried
    folder = Path(name).expanduser()
    given = ask(count_images, name)
    images = ImageFolder(folder)
    right = {each: images.targets.count(label) for label, each in enumerate(images.classes)}
    if len(right) < 2:
        return f"There is one class only, {images.classes[0]}: make a second folder beside it."
    if not isinstance(given, dict):
        return "Return a dictionary: the name of each class, and how many images it has."
    if set(given) == set(range(len(right))):
        return "Name the classes: images.classes[label] is the name of a label."
    if given != right:
        return f"ImageFolder finds {right}, not {dict(given)}."
    if min(right.values()) < IMAGES_PER_CLASS:
        few = min(right, key=lambda name: right[name])
        return f"Counted right. {few} has {right[few]} of {IMAGES_PER_CLASS} images: take more."
    return None
