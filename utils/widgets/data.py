"""The control of notebook 01: how much augmentation leaves an image what it is."""

from collections.abc import Sequence

import torch
from torchvision.transforms import v2

from utils.plots import Drawing, show_images
from utils.plots.images import to_image
from utils.widgets import explore


def explore_augmentation(images: Sequence) -> None:
    """Sliders for what notebook 01's `v2.Compose` is made of; eight views of an image follow.

    The random numbers are the same each time: the views follow the settings and nothing else.
    """

    def draw(
        image: int, smallest_crop: float, flip: float, rotation: int, brightness: float
    ) -> Drawing:
        augment = v2.Compose(
            [
                v2.RandomResizedCrop(224, scale=(smallest_crop, 1.0)),
                v2.RandomHorizontalFlip(flip),
                v2.RandomRotation(rotation),
                v2.ColorJitter(brightness=brightness),
            ]
        )
        whole = to_image(images[image])
        original = v2.Compose([v2.Resize(256), v2.CenterCrop(224)])(whole)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            views = [augment(whole) for _ in range(8)]
        title = (
            f"Crops from {smallest_crop:.0%} of the area, flip {flip:.0%}, rotation up to "
            f"{rotation}°, brightness ± {brightness:.0%}"
        ).replace("%", " %")
        names = ["original", *(f"view {number}" for number in range(1, 9))]
        return show_images([original, *views], names, columns=5, title=title)

    explore(
        draw,
        image=(0, len(images) - 1, 0),
        smallest_crop=(0.05, 1.0, 0.5),
        flip=(0.0, 1.0, 0.5),
        rotation=(0, 180, 15),
        brightness=(0.0, 0.9, 0.2),
    )
