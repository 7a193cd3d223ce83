"""The control of notebook 02: a kernel to change, and what it makes of an image."""

from collections.abc import Sequence

import ipywidgets
import numpy as np
import torch
from torch.nn import functional as F

from utils.plots import Drawing
from utils.plots.images import tile
from utils.widgets import make_control, show_controls


def explore_kernel(grey: torch.Tensor, kernels: dict[str, Sequence[Sequence[float]]]) -> None:
    """Nine sliders for a kernel; the filtered image follows. `kernels` are places to start.

    `grey` is [H, W] in 0..1; what is shown is the absolute value of the convolution.
    """

    def draw(**values: float) -> Drawing:
        kernel = torch.tensor(list(values.values())).view(3, 3)
        filtered = F.conv2d(grey[None, None], kernel[None, None])[0, 0].abs().clamp(0, 1)
        rows = "; ".join(", ".join(f"{value:.1f}" for value in row) for row in kernel.tolist())
        captions = ["the image", "the kernel", "the result"]
        shades = 0.5 + 0.5 * kernel / kernel.abs().max().clamp(min=1e-6)
        sheet = tile([grey, shades, filtered], captions, columns=3)
        return Drawing(sheet, f"An image, the kernel {rows}, and the image filtered with it", True)

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
    for slider in every:  # three fit side by side
        slider.layout.width, slider.style.description_width = "20em", "9em"
    rows = [choice, *(ipywidgets.HBox(every[place : place + 3]) for place in (0, 3, 6))]
    show_controls(draw, widgets, rows)
