"""Views of pictures: the one for testing and the random ones for training."""

import pytest
import torch
from torchvision.transforms import v2

from utils.augmentation import (
    Augmentation,
    apply_maps_on_cpu,
    apply_maps_on_device,
    crop_center,
    denormalize,
    draw_maps,
    draw_views,
    normalize,
)
from utils.weights import Preprocessing

PREPROCESSING = Preprocessing(72, 64, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
NOTHING = Augmentation(rotation=0.0, smallest_crop=1.0, flip=0.0, brightness=0.0)


def make_images(size: int = 72, count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator).to(torch.uint8)


def view(images: torch.Tensor, recipe: Augmentation, seed: int = 0) -> torch.Tensor:
    """Random views with values in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    return denormalize(draw_views(images, PREPROCESSING, recipe, generator), PREPROCESSING)


@pytest.mark.parametrize("size", [72, 64, 80])
def test_centre_crop_is_torchvisions(size):
    images = make_images(size)
    theirs = v2.Compose(
        [
            v2.CenterCrop(64),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(PREPROCESSING.mean, PREPROCESSING.std),
        ]
    )
    ours = crop_center(images, PREPROCESSING)
    assert ours.shape == (4, 3, 64, 64)
    assert torch.allclose(ours, theirs(images), atol=1e-5)


def test_denormalize_is_the_way_back():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    normalized = normalize(images, PREPROCESSING)
    assert torch.allclose(denormalize(normalized, PREPROCESSING), images, atol=1e-6)
    assert torch.allclose(normalized[:, 2], (images[:, 2] - 0.406) / 0.225, atol=1e-6)


def test_views_follow_the_seed():
    images = make_images()
    torch.manual_seed(1)
    first = draw_views(images, PREPROCESSING, Augmentation())
    second = draw_views(images, PREPROCESSING, Augmentation())
    torch.manual_seed(1)
    again = draw_views(images, PREPROCESSING, Augmentation())
    assert torch.equal(first, again) and not torch.equal(first, second)


def test_generator_leaves_the_global_seed_alone():
    before = torch.get_rng_state()
    assert torch.equal(view(make_images(), Augmentation()), view(make_images(), Augmentation()))
    assert torch.equal(torch.get_rng_state(), before)


def test_views_have_the_shape_and_range_of_a_picture():
    recipe = Augmentation(rotation=45.0, smallest_crop=0.3, flip=0.5, brightness=0.9)
    views = view(make_images(count=16), recipe)
    assert views.shape == (16, 3, 64, 64) and views.dtype == torch.float32
    assert views.min() >= -1e-5 and views.max() <= 1 + 1e-5


def test_pictures_of_a_batch_get_different_views():
    images = make_images(count=1).expand(4, -1, -1, -1)
    views = view(images, Augmentation())
    assert all(not torch.equal(views[0], views[row]) for row in range(1, 4))


def make_smooth_images() -> torch.Tensor:
    """Without noise from pixel to pixel: 8-bit interpolation is exact to a few levels there."""
    blurred = torch.nn.functional.avg_pool2d(make_images(80).float(), 9, stride=1)
    return blurred.to(torch.uint8)


def test_recipe_without_change_is_a_resize():
    images = make_smooth_images()
    resized = torch.nn.functional.interpolate(
        images.float() / 255, (64, 64), mode="bilinear", align_corners=False
    )
    assert torch.allclose(view(images, NOTHING), resized, atol=3 / 255)


@pytest.mark.parametrize("recipe", [Augmentation(), Augmentation(90.0, 0.3, 0.5, 0.9), NOTHING])
def test_processor_and_device_draw_the_same_views(recipe):
    images = make_smooth_images()
    maps = draw_maps(4, recipe, torch.Generator().manual_seed(0))
    light = torch.tensor([0.5, 0.9, 1.0, 1.5])
    ours = apply_maps_on_cpu(images, maps, light, PREPROCESSING)
    theirs = apply_maps_on_device(images, maps, light, PREPROCESSING)
    assert ours.dtype == torch.float32 and ours.shape == theirs.shape == (4, 3, 64, 64)
    apart = denormalize(ours, PREPROCESSING) - denormalize(theirs, PREPROCESSING)
    assert apart.abs().max() < 4 / 255


def test_flip_mirrors_left_and_right():
    images = make_smooth_images()
    mirrored = view(images, Augmentation(0.0, 1.0, 1.0, 0.0))
    assert torch.allclose(mirrored, view(images, NOTHING).flip(-1), atol=2 / 255)


def test_flip_has_its_probability():
    maps = draw_maps(2000, Augmentation(0.0, 1.0, 0.25, 0.0), torch.Generator().manual_seed(0))
    assert 0.2 < (maps[:, 0, 0] < 0).float().mean() < 0.3


def test_crops_stay_inside_the_picture():
    maps = draw_maps(2000, Augmentation(0.0, 0.5, 0.5, 0.0), torch.Generator().manual_seed(0))
    reach = maps[:, :, :2].abs().sum(dim=2) + maps[:, :, 2].abs()
    assert reach.max() <= 1 + 1e-6
    assert 0.5 <= maps[:, 1, 1].min() < 0.55 and 0.95 < maps[:, 1, 1].max() <= 1


def test_rotation_stays_within_its_degrees():
    maps = draw_maps(2000, Augmentation(15.0, 1.0, 0.0, 0.0), torch.Generator().manual_seed(0))
    degrees = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert degrees.abs().max() <= 15.001
    assert degrees.min() < -13 and degrees.max() > 13


def test_rotation_brings_no_black_corners():
    white = torch.full((8, 3, 72, 72), 255, dtype=torch.uint8)
    assert view(white, Augmentation(45.0, 1.0, 0.5, 0.0)).min() > 0.999


def test_brightness_changes_all_channels_alike():
    grey = torch.full((200, 3, 72, 72), 100, dtype=torch.uint8)
    levels = view(grey, Augmentation(0.0, 1.0, 0.0, 0.2)).mean(dim=(2, 3)) / (100 / 255)
    assert torch.allclose(levels[:, 0], levels[:, 2], atol=1e-4)
    assert 0.799 < levels.min() < 0.85 and 1.15 < levels.max() < 1.201
