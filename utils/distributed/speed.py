"""How long a training step takes that several processes share, and how much is the exchange.

    torchrun --standalone --nproc_per_node=2 -m utils.distributed.speed --batch-size 64

The first process prints a line of JSON for `scaling.Job`; images are noise, so nothing is read from
a disk.
"""

import argparse
import contextlib
import io
import json
import statistics
import sys
import time

import torch
from accelerate import Accelerator
from torch.nn import functional as F

from utils.distributed import join_processes
from utils.finetuning import keep_statistics, unfreeze_from
from utils.models import count_parameters, load_backbone
from utils.settings import CourseError, Settings, load_settings

WARM_UP = 1  # step of each kind


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m utils.distributed.speed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--batch-size", type=int, default=32, help="images of all processes together"
    )
    parser.add_argument("--side", type=int, default=224, help="pixels")
    parser.add_argument("--steps", type=int, default=8, help="steps of each kind")
    return parser.parse_args(arguments)


def measure_steps(
    settings: Settings, accelerator: Accelerator, batch_size: int, side: int, steps: int
) -> dict[str, float | str]:
    """Seconds of a step of fine-tuning from stage 3 up, with and without the exchange.

    `batch_size` counts the images of all processes. Steps of both kinds take turns, so that a busy
    machine slows both; each number is the median of `steps`.
    """
    with accelerator.main_process_first():
        model = load_backbone(settings)
    model = model.to(accelerator.device, memory_format=torch.channels_last)
    unfreeze_from(model, "stage 3")
    keep_statistics(model)
    network = accelerator.prepare(model).train()
    share = batch_size // accelerator.num_processes
    images = torch.randn(share, 3, side, side, device=accelerator.device)
    labels = torch.zeros(share, dtype=torch.int64, device=accelerator.device)

    def take_step(exchange: bool) -> float:
        accelerator.wait_for_everyone()
        start = time.perf_counter()
        with contextlib.nullcontext() if exchange else accelerator.no_sync(network):
            F.cross_entropy(network(images), labels).backward()
        if accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        accelerator.wait_for_everyone()  # a step is over when the slowest process is through
        return time.perf_counter() - start

    seconds = {True: [], False: []}
    for step in range(WARM_UP + steps):
        for exchange, taken in seconds.items():
            spent = take_step(exchange)
            if step >= WARM_UP:
                taken.append(spent)
            model.zero_grad()
    with_exchange, alone = (statistics.median(taken) for taken in seconds.values())
    cuda = accelerator.device.type == "cuda"
    return {
        "processes": accelerator.num_processes,
        "device": torch.cuda.get_device_name() if cuda else "CPU",
        "threads": torch.get_num_threads(),
        "batch_size": share * accelerator.num_processes,
        "images_per_second": share * accelerator.num_processes / with_exchange,
        "step_seconds": with_exchange,
        "step_seconds_without_exchange": alone,
        "gradient_bytes": 4 * count_parameters(model)[0],
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, and let the first process print a line of JSON."""
    given = parse_arguments(arguments)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            settings = load_settings()
        accelerator = join_processes(settings, given.batch_size)
        sizes = given.batch_size, given.side, given.steps
        measured = measure_steps(settings, accelerator, *sizes)
        if accelerator.is_main_process:
            print(json.dumps(measured))
        accelerator.end_training()
    except CourseError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
