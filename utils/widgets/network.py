"""Controls of notebook 02: a kernel to turn, feature maps to leaf through, curves that grow."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import ipywidgets
import numpy as np
import torch
from IPython.display import display
from PIL import Image
from torch import nn
from torch.nn import functional as F

from utils.activations import record_outputs
from utils.augmentation import crop_center, denormalize
from utils.drawings import Drawing, tile_pictures
from utils.pictures import Pictures
from utils.plots import plot_history
from utils.training import History
from utils.weights import Preprocessing
from utils.widgets import make_slider, show_control


def show_live_history(title: str) -> Callable[[History], None]:
    """An empty figure here and now; the function returned draws a history into it.

    Given to `fit` as `on_epoch`, it lets the curves grow while the training runs.
    """
    handle = display(plot_history({"": asdict(History())}, title), display_id=True)
    return lambda history: handle.update(plot_history({"": asdict(history)}, title))


def filter_picture(grey: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """The convolution of a picture [H, W] with a kernel [3, 3], as a screen can show it.

    Float [H - 2, W - 2] in 0..1: of each value the absolute one, white from 1 on.
    """
    return F.conv2d(grey[None, None], kernel[None, None])[0, 0].abs().clamp(0, 1)


def draw_filtered(grey: torch.Tensor, kernel: torch.Tensor) -> Drawing:
    """The picture, the kernel as squares of grey (zero in the middle), the filtered picture."""
    limit = kernel.abs().max().clamp(min=1e-6)
    squares = (0.5 + 0.5 * kernel / limit).repeat_interleave(84, 0).repeat_interleave(84, 1)
    shown = [as_grey(panel) for panel in (grey, squares, filter_picture(grey, kernel))]
    rows = "; ".join(", ".join(f"{value:.1f}" for value in row) for row in kernel.tolist())
    description = f"A picture, the kernel {rows}, and the picture filtered with it"
    return tile_pictures(shown, description, columns=3, side=252)


def as_grey(values: torch.Tensor) -> torch.Tensor:
    """[H, W] in 0..1 → [3, H, W], the same in each colour."""
    return values[None].expand(3, -1, -1)


def explore_kernel(grey: torch.Tensor, kernels: dict[str, Sequence[Sequence[float]]]) -> None:
    """Nine sliders for a kernel; the filtered picture follows. `kernels` are places to start."""
    names = list(kernels)
    choice = ipywidgets.Dropdown(
        options=[*names, "your own"], description="start from",
        style={"description_width": "7em"}, layout={"width": "22em"},
    )  # fmt: skip
    sliders = []
    for index, value in enumerate(np.asarray(kernels[names[0]], dtype=float).flat):
        name = f"row {index // 3 + 1}, column {index % 3 + 1}"
        sliders.append(make_slider(name, float(value), -5.0, 5.0, 0.1, ".1f"))
        sliders[-1].style.description_width = "9em"  # three of them beside each other
        sliders[-1].layout.width = "21em"
    view = ipywidgets.HTML()

    def redraw() -> Drawing:
        kernel = torch.tensor([slider.value for slider in sliders]).view(3, 3)
        drawing = draw_filtered(grey, kernel)
        view.value = drawing.to_html()
        return drawing

    def follow_slider(change) -> None:
        choice.value = "your own"
        redraw()

    def start_from(change) -> None:
        if change["new"] == "your own":
            return
        for slider, value in zip(sliders, np.asarray(kernels[change["new"]]).flat, strict=True):
            slider.unobserve(follow_slider, "value")  # nine changes, one picture
            slider.value = float(value)
            slider.observe(follow_slider, "value")
        redraw()

    for slider in sliders:
        slider.observe(follow_slider, "value")
    choice.observe(start_from, "value")
    first = redraw()
    rows = [ipywidgets.HBox(sliders[start : start + 3]) for start in (0, 3, 6)]
    show_control(ipywidgets.VBox([choice, *rows, view]), first)


def draw_feature_maps(
    model: nn.Module, pictures: Pictures, row: int, stage: int, preprocessing: Preprocessing
) -> Drawing:
    """A picture, and beside it every map of the `stage`-th pooling layer, counted from one.

    All maps are on one scale: black is zero, white the largest value that is no outlier.
    """
    device = next(model.parameters()).device
    inputs = crop_center(pictures.load([row])[0], preprocessing)
    outputs = record_outputs(model, inputs.to(device))
    maps = [output[0].float().cpu() for name, output in outputs if name == "pool"][stage - 1]
    limit = maps.flatten().quantile(0.995) if maps.any() else torch.tensor(1.0)
    shown = (maps / limit.clamp(min=1e-6)).clamp(0, 1)
    columns = int(np.ceil(np.sqrt(2 * len(maps))))
    side = 590 // columns - 4  # with the picture as wide as JupyterLab's page on a projector
    description = f"Picture {row} and its {len(maps)} feature maps after stage {stage}"
    grid = tile_pictures([as_grey(panel) for panel in shown], description, columns, side).figure
    looked_at = denormalize(inputs, preprocessing)
    picture = tile_pictures(looked_at, description, columns=1, side=224).figure
    sheet = Image.new("RGB", (picture.width + 16 + grid.width, max(224, grid.height)), "white")
    sheet.paste(picture, (0, 0))
    sheet.paste(grid, (picture.width + 16, 0))
    return Drawing(sheet, description, photographic=True)


def explore_feature_maps(
    model: nn.Module, pictures: Pictures, preprocessing: Preprocessing, row: int = 0
) -> None:
    """Sliders for the picture and the stage; the feature maps follow."""
    picture = make_slider("picture", row, 0, len(pictures) - 1, 1, "d")
    stage = make_slider("stage", 1, 1, 3, 1, "d")
    view = ipywidgets.HTML()

    def redraw(change=None) -> Drawing:
        drawing = draw_feature_maps(model, pictures, picture.value, stage.value, preprocessing)
        view.value = drawing.to_html()
        return drawing

    for slider in (picture, stage):
        slider.observe(redraw, "value")
    first = redraw()
    show_control(ipywidgets.VBox([ipywidgets.HBox([picture, stage]), view]), first)
