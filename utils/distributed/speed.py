"""How long a training step takes that many processes share, and how much of it is the exchange."""

import contextlib
import time

import torch
from torch.nn import functional as F

from utils.distributed import ManyProcesses
from utils.finetuning import unfreeze_from
from utils.models import count_parameters, load_backbone, replace_head, set_training_mode
from utils.pictures import Pictures
from utils.settings import Settings
from utils.training import LAYOUT, Plan, draw_inputs
from utils.weights import Preprocessing

WARM_UP = 1  # step of each kind


def measure_steps(
    settings: Settings,
    processes: ManyProcesses,
    train: Pictures,
    preprocessing: Preprocessing,
    batch_size: int,
    steps: int,
) -> dict[str, float]:
    """Seconds of a step of fine-tuning from stage 3 up, with and without the exchange.

    `batch_size` counts the pictures of all processes. Steps of both kinds take turns, so that a
    busy machine slows both; each number is the median of `steps`.
    """
    plan = Plan(
        1, preprocessing, batch_size=batch_size, freeze_statistics=True, device=settings.device
    )
    model = load_backbone(settings.backbone)
    replace_head(model, len(train.split.classes))
    unfreeze_from(model, "stage 3")
    model.to(plan.device, memory_format=LAYOUT)
    network = processes.wrap(model, plan)
    set_training_mode(network, plan.freeze_statistics)
    part = processes.divide(plan).batch_size
    images, labels = train.load(list(range(min(part, len(train)))))
    inputs, labels = draw_inputs(images, plan), labels.to(plan.device)

    def take_step(exchange: bool) -> float:
        processes.wait()
        start = time.perf_counter()
        with contextlib.nullcontext() if exchange else network.no_sync():
            F.cross_entropy(network(inputs), labels).backward()
        if plan.device == "cuda":
            torch.cuda.synchronize()
        processes.wait()  # a step is over when the slowest process is through
        return time.perf_counter() - start

    seconds = {True: [], False: []}
    for step in range(WARM_UP + steps):
        for exchange, taken in seconds.items():
            spent = take_step(exchange)
            if step >= WARM_UP:
                taken.append(spent)
            model.zero_grad()
    with_exchange, alone = (torch.tensor(taken).median().item() for taken in seconds.values())
    return {
        "processes": processes.size,
        "threads": torch.get_num_threads(),
        "batch_size": processes.size * len(inputs),
        "pictures_per_second": processes.size * len(inputs) / with_exchange,
        "step_seconds": with_exchange,
        "step_seconds_without_exchange": alone,
        "gradient_bytes": 4 * count_parameters(model)[0],
    }
