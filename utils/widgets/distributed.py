"""The control of notebook 06: what several GPUs would bring, before they are paid for."""

from dataclasses import astuple

import ipywidgets

from utils.drawings import Drawing
from utils.plots_distributed import plot_scaling
from utils.scaling import Job, predict_speed, predict_step
from utils.widgets import make_slider, show_control

GPUS = [1, 2, 4, 8, 16, 32, 64]
LINKS = {"Ethernet, 1 Gbit/s": 1e9, "Ethernet, 10 Gbit/s": 10e9, "Ethernet, 25 Gbit/s": 25e9,
         "Ethernet, 100 Gbit/s": 100e9, "InfiniBand, 400 Gbit/s": 400e9}  # fmt: skip
INSIDE = {"PCIe, 100 Gbit/s": 100e9, "NVLink, 2,400 Gbit/s": 2400e9}


def draw_scaling(job: Job) -> Drawing:
    """Speed for 1 to 64 GPUs, and a step's parts, as the cost model predicts them."""
    speeds = [predict_speed(job, count) for count in GPUS]
    steps = {f"{count} GPUs": astuple(predict_step(job, count)) for count in GPUS[1:]}
    title = (
        f"{job.gradient_bytes / 4e6:.1f} million parameters, {job.batch_size} pictures a GPU, "
        f"{job.link / 1e9:,.0f} Gbit/s between machines of {job.gpus_per_machine}"
    )
    return plot_scaling(GPUS, speeds, steps, title)


def explore_scaling(job: Job) -> None:
    """Sliders for the job's numbers, menus for its wires; the prediction follows them."""
    millions = make_slider("parameters (million)", job.gradient_bytes / 4e6, 1.0, 300.0, 0.1, ".1f")
    speed = make_slider("one GPU (pictures/s)", job.pictures_per_second, 20.0, 3000.0, 10.0, ".0f")
    batch = make_slider("pictures a GPU", job.batch_size, 8, 256, 8, "d")
    machine = make_slider("GPUs a machine", job.gpus_per_machine, 1, 8, 1, "d")
    link = ipywidgets.Dropdown(options=LINKS, value=job.link, description="between machines")
    inside = ipywidgets.Dropdown(
        options=INSIDE, value=job.link_inside, description="within a machine"
    )
    view = ipywidgets.HTML()

    def redraw(change=None) -> Drawing:
        drawing = draw_scaling(Job(4e6 * millions.value, speed.value, batch.value, link.value,
                                   machine.value, inside.value))  # fmt: skip
        view.value = drawing.to_html()
        return drawing

    controls = [millions, speed, batch, machine, link, inside]
    for control in controls:
        control.observe(redraw, "value")
        control.style.description_width, control.layout.width = "13em", "30em"  # names in full
    first = redraw()
    rows = [ipywidgets.HBox(controls[place : place + 2]) for place in (0, 2, 4)]
    show_control(ipywidgets.VBox([*rows, view]), first)
