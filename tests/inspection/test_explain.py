"""Grad-CAM as notebook 05 types it."""

import pytest
import torch
from torch import nn
from typed import load_typed

from utils.models import CustomCNN, freeze

compute_grad_cam = load_typed("05_inspect_and_predict", "compute_grad_cam", {"torch": torch})


class Pointer(nn.Module):
    """Two classes, each a brighter channel; one convolution of 1×1, and the mean over places."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 1, bias=False)
        self.fc = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.maps.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).view(2, 3, 1, 1))
            self.fc.weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.maps(images).mean(dim=(2, 3)))


def test_map_shows_the_place_and_the_sign():
    model = Pointer()
    freeze(model)
    images = torch.zeros(2, 3, 8, 8)
    images[0, 0, :4, :4] = 1  # class 0 top left, class 1 bottom right
    images[0, 1, 4:, 4:] = 1
    images[1, 0, 4:, :4] = 1
    maps = compute_grad_cam(model, model.maps, images, [0, 0])
    assert maps.shape == (2, 8, 8) and not maps.requires_grad
    assert (maps[0, :4, :4] > 0).all() and (maps[0, 4:, 4:] < 0).all()
    assert (maps[1, 4:, :4] > 0).all() and maps[1, :4].abs().max() == 0
    other = compute_grad_cam(model, model.maps, images[:1], torch.tensor([1]))
    assert torch.allclose(other[0], -maps[0])
    assert not images.requires_grad and not model.maps._forward_hooks


def test_maps_are_those_of_captum():
    captum = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    model, images = CustomCNN(3).eval(), torch.randn(3, 3, 224, 224)
    for targets in ([0, 1, 2], [2, 2, 0]):
        theirs = captum.LayerGradCam(model, model.conv3).attribute(
            images.clone().requires_grad_(), target=torch.tensor(targets)
        )
        ours = compute_grad_cam(model, model.conv3, images, targets)
        assert torch.allclose(ours, theirs[:, 0].detach(), atol=1e-7)
