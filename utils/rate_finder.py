"""The learning-rate range test: ever larger steps until the loss rises.

Leslie N. Smith (2015), "Cyclical Learning Rates for Training Neural Networks",
https://arxiv.org/abs/1506.01186.
"""

import copy
import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from utils.models import set_training_mode
from utils.pictures import Pictures, make_loader
from utils.settings import release_freed_memory
from utils.training import LAYOUT, Plan, draw_inputs


def run_range_test(
    model: nn.Module,
    train: Pictures,
    plan: Plan,
    lowest: float = 1e-6,
    highest: float = 1e-2,
    steps: int = 30,
) -> tuple[list[float], list[float]]:
    """Rates from `lowest` to `highest`, and for each the loss of a batch after steps up to it.

    AdamW moves all trainable parameters at the same rate, in float32. The test ends early where a
    loss is far above what guessing costs. A copy of the model takes the steps: `model`'s
    parameters, buffers and mode, and PyTorch's random numbers, stay what they were.
    """
    release_freed_memory()
    copied = copy.deepcopy(model).to(plan.device, memory_format=LAYOUT)
    set_training_mode(copied, plan.freeze_statistics)
    optimizer = torch.optim.AdamW([p for p in copied.parameters() if p.requires_grad], lr=lowest)
    rates, losses = [], []
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        batches = draw_batches(train, plan.batch_size)
        for step in tqdm(range(steps), "range test", leave=False):
            rate = lowest * (highest / lowest) ** (step / (steps - 1))
            optimizer.param_groups[0]["lr"] = rate
            images, labels = next(batches)
            loss = F.cross_entropy(copied(draw_inputs(images, plan)), labels.to(plan.device))
            rates.append(rate)
            losses.append(loss.item())
            if not losses[-1] < 3 * math.log(len(train.split.classes)):
                break  # "not <" is true of nan as well
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return rates, losses


def draw_batches(train: Pictures, batch_size: int) -> Iterator:
    """Batches in a new random order each time all pictures were shown, without end."""
    while True:
        yield from make_loader(train, batch_size, shuffle=True)


def smooth_losses(losses: list[float], memory: float = 0.7) -> list[float]:
    """The running mean in which each loss counts `memory` times as much as the one after it."""
    smooth, weight, result = 0.0, 0.0, []
    for loss in losses:
        smooth = memory * smooth + (1 - memory) * loss
        weight = memory * weight + (1 - memory)
        result.append(smooth / weight)
    return result


def choose_rate(rates: list[float], losses: list[float], classes: int) -> float:
    """A tenth of the rate where the smoothed loss begins to rise, a tenth of the last without one.

    It begins where it stays, to the end, above its lowest value by a tenth of what guessing costs.
    """
    smoothed = smooth_losses(losses)
    limit = min(smoothed) + 0.1 * math.log(classes)
    below = [number for number, loss in enumerate(smoothed) if loss <= limit]
    return rates[min(below[-1] + 1, len(rates) - 1)] / 10
