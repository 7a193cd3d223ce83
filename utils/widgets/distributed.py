"""The control of notebook 09: what several GPUs would bring, before they are paid for."""

from dataclasses import astuple

from utils.distributed.scaling import Job, predict_speed, predict_step
from utils.plots import Drawing
from utils.plots.distributed import plot_scaling
from utils.widgets import explore

GPUS = [1, 2, 4, 8, 16, 32, 64]
LINKS = {
    "Ethernet, 1 Gbit/s": 1e9,
    "Ethernet, 10 Gbit/s": 10e9,
    "Ethernet, 25 Gbit/s": 25e9,
    "Ethernet, 100 Gbit/s": 100e9,
    "InfiniBand, 400 Gbit/s": 400e9,
}
INSIDE = {"PCIe, 100 Gbit/s": 100e9, "NVLink, 2,400 Gbit/s": 2400e9}


def draw_scaling(job: Job) -> Drawing:
    """Speed for 1 to 64 GPUs, and a step's parts, as the cost model predicts them."""
    speeds = [predict_speed(job, count) for count in GPUS]
    steps = {f"{count} GPUs": astuple(predict_step(job, count)) for count in GPUS[1:]}
    title = (
        f"{job.gradient_bytes / 4e6:.1f} million parameters, {job.batch_size} images per GPU, "
        f"{job.link / 1e9:,.0f} Gbit/s between machines of {job.gpus_per_machine}"
    )
    return plot_scaling(GPUS, speeds, steps, title)


def put_first(value: float, options: dict[str, float]) -> dict[str, float]:
    """The same options, and the one that is chosen at the start before the others."""
    first = {name: each for name, each in options.items() if each == value}
    return (first or {f"{value / 1e9:,.0f} Gbit/s": value}) | options


def explore_scaling(job: Job) -> None:
    """Sliders for the job's numbers, lists for its wires; the prediction follows them."""

    def draw(million_parameters, images_per_second, images_per_GPU, GPUs_per_machine, **links):
        wires = links["between_machines"], GPUs_per_machine, links["within_a_machine"]
        job = Job(4e6 * million_parameters, images_per_second, images_per_GPU, *wires)
        return draw_scaling(job)

    explore(
        draw,
        million_parameters=(1.0, 300.0, job.gradient_bytes / 4e6),
        images_per_second=(20.0, 3000.0, float(job.images_per_second)),
        images_per_GPU=(8, 256, job.batch_size),
        GPUs_per_machine=(1, 8, job.gpus_per_machine),
        between_machines=put_first(job.link, LINKS),
        within_a_machine=put_first(job.link_inside, INSIDE),
    )
