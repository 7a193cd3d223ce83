"""Controls of notebooks 02 and 06: a kernel to turn, feature maps to leaf through."""

from collections.abc import Sequence

import ipywidgets
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from utils.plots import Drawing
from utils.plots.images import tile
from utils.plots.network import show_feature_maps
from utils.widgets import explore, make_control, show_controls


def draw_filtered(grey: torch.Tensor, kernel: torch.Tensor) -> Drawing:
    """An image [H, W] in 0..1, a kernel [3, 3], and their convolution, its absolute value."""
    limit = kernel.abs().max().clamp(min=1e-6)
    filtered = F.conv2d(grey[None, None], kernel[None, None])[0, 0].abs().clamp(0, 1)
    rows = "; ".join(", ".join(f"{value:.1f}" for value in row) for row in kernel.tolist())
    captions = ["the image", "the kernel: black −, white +", "white: a strong answer"]
    sheet = tile([grey, 0.5 + 0.5 * kernel / limit, filtered], captions, columns=3)
    return Drawing(sheet, f"An image, the kernel {rows}, and the image filtered with it", True)


def explore_kernel(grey: torch.Tensor, kernels: dict[str, Sequence[Sequence[float]]]) -> None:
    """Nine sliders for a kernel; the filtered image follows. `kernels` are places to start."""
    first = np.asarray(next(iter(kernels.values())), dtype=float)
    sliders = {
        f"row_{row + 1},_column_{column + 1}": (-5.0, 5.0, float(value))
        for (row, column), value in np.ndenumerate(first)
    }
    widgets = {name: make_control(name, values) for name, values in sliders.items()}
    choice = make_control("start_from", list(kernels))

    def start_from(change) -> None:
        values = np.asarray(kernels[change["new"]], dtype=float).flat
        for slider, value in zip(widgets.values(), values, strict=True):
            slider.value = value

    choice.observe(start_from, "value")
    every = list(widgets.values())
    for slider in every:
        slider.layout.width, slider.style.description_width = (
            "20em",
            "9em",
        )  # three fit side by side
    rows = [choice, *(ipywidgets.HBox(every[place : place + 3]) for place in (0, 3, 6))]
    show_controls(
        lambda **values: draw_filtered(grey, torch.tensor(list(values.values())).view(3, 3)),
        widgets,
        rows,
    )


@torch.no_grad()
def record_maps(model: nn.Module, image: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """Feature maps [channels, H, W] of one layer for an image [3, H, W], negative ones as zero."""
    outputs = []
    handle = layer.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    try:
        model.eval()(image[None].to(next(model.parameters()).device))
    finally:
        handle.remove()
    return outputs[0][0].float().cpu().relu()


def explore_feature_maps(
    model: nn.Module, images: torch.Tensor, shown: Sequence, layers: dict[str, nn.Module]
) -> None:
    """Choose an image and a layer; its first 64 feature maps follow.

    `images` are what the network takes, [N, 3, H, W], and `shown` the same to look at; `layers`
    are some of the model's, by name.
    """

    def draw(image: int, layer: str) -> Drawing:
        maps = record_maps(model, images[image], layers[layer])
        name = f"{layer}: {len(maps)} maps of {maps.shape[1]} × {maps.shape[2]}"
        return show_feature_maps(shown[image], {name: maps[:64]}, columns=16)

    explore(draw, image=(0, len(images) - 1, 0), layer={name: name for name in layers})
