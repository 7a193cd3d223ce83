"""How long a training step takes that several processes share, and how much is the exchange.

    torchrun --standalone --nproc_per_node=2 -m utils.distributed.speed --batch-size 64

The first process ends with a line of JSON: of all processes together; started alone, it is what
`scaling.Job` asks for. Images are noise: nothing is read from a disk.
"""

import argparse
import contextlib
import json
import statistics
import time

import torch
from accelerate import Accelerator
from torch.nn import functional as F

from utils.distributed import make_parser, run_job
from utils.finetuning import keep_statistics, unfreeze_from
from utils.models import count_parameters, load_backbone
from utils.settings import Settings

WARM_UP = 1  # step of each kind


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line of this module."""
    parser = make_parser("speed", __doc__)
    parser.add_argument("--side", type=int, default=224, help="pixels")
    parser.add_argument("--steps", type=int, default=8, help="steps of each kind")
    return parser.parse_args(arguments)


def measure_steps(settings: Settings, accelerator: Accelerator, given: argparse.Namespace) -> None:
    """Print seconds of a step of fine-tuning from stage 3 up, with and without the exchange.

    Steps of both kinds take turns, so that a busy machine slows both; each number is the median of
    `given.steps`.
    """
    with accelerator.main_process_first():
        model = load_backbone(settings)
    model = model.to(accelerator.device).to(memory_format=torch.channels_last)
    unfreeze_from(model, "stage 3")
    keep_statistics(model)
    network = accelerator.prepare(model).train()
    share = given.batch_size // accelerator.num_processes
    images = torch.randn(share, 3, given.side, given.side, device=accelerator.device)
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

    seconds: dict[bool, list[float]] = {True: [], False: []}
    for step in range(WARM_UP + given.steps):
        for exchange, taken in seconds.items():
            spent = take_step(exchange)
            if step >= WARM_UP:
                taken.append(spent)
            model.zero_grad()
    with_exchange, alone = (statistics.median(taken) for taken in seconds.values())
    cuda = accelerator.device.type == "cuda"
    measured = {
        "processes": accelerator.num_processes,
        "device": torch.cuda.get_device_name() if cuda else "CPU",
        "threads": torch.get_num_threads(),
        "batch_size": share * accelerator.num_processes,
        "images_per_second": share * accelerator.num_processes / with_exchange,
        "step_seconds": with_exchange,
        "step_seconds_without_exchange": alone,
        "gradient_bytes": 4 * count_parameters(model)[0],
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    run_job(measure_steps, parse_arguments())
