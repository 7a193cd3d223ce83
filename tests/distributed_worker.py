"""What tests/test_distributed.py has torchrun start: `distributed_worker.py FOLDER`.

The first process saves what all of them found as FOLDER/results.pt.
"""

import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from test_training import SMALL, make_pictures
from torch import nn
from torch.nn import functional as F

from utils.augmentation import Augmentation, draw_maps
from utils.distributed import ManyProcesses, join_processes
from utils.exercises_03 import make_small_network
from utils.training import Plan, draw_inputs, evaluate, fit

PLAN = Plan(
    epochs=2, preprocessing=SMALL, augmentation=None, batch_size=12, seed=3,
    evaluations_per_epoch=2, freeze_statistics=True,
)  # fmt: skip
TRAIN = make_pictures(48)
VALIDATION = make_pictures(11, 1, "validation")  # neither 2 nor 3 divide it


def make_training() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = make_small_network(2).eval()
    return model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def gather(processes: ManyProcesses, found) -> list:
    everything = [None] * processes.size
    dist.all_gather_object(everything, found, group=processes.group)
    return everything


def find_gradients(processes: ManyProcesses) -> dict[str, torch.Tensor]:
    """Of the first 12 pictures, each process computing those of its own."""
    model, _ = make_training()
    network = processes.wrap(model, PLAN).eval()
    images, labels = TRAIN.load(list(range(12))[processes.rank :: processes.size])
    F.cross_entropy(network(draw_inputs(images, PLAN)), labels).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def work(processes: ManyProcesses, folder: Path) -> dict:
    results = {"gradients": find_gradients(processes)}
    model, optimizer = make_training()
    if processes.rank:  # the first one's weights count, whatever the others begin with
        torch.nn.init.ones_(model.fc.weight)
    parts_trained = []
    history = fit(
        model, optimizer, TRAIN, VALIDATION, PLAN, checkpoint=folder / "checkpoint.pt",
        on_epoch=lambda history: parts_trained.append(len(history.train_loss)),
        processes=processes,
    )  # fmt: skip
    results["parts_trained"] = parts_trained
    results |= {"weights": model.state_dict(), "history": vars(history) | {"seconds": []}}
    results["all_histories"] = gather(processes, results["history"])
    results["all_weights"] = gather(processes, model.fc.weight.detach())
    result = evaluate(model, VALIDATION, PLAN, processes)
    results["evaluations"] = gather(processes, (result.logits, result.labels))
    orders = [list(processes.share_training(TRAIN, PLAN, part).sampler) for part in range(3)]
    results["orders"] = gather(processes, orders)
    uneven = processes.share_training(make_pictures(11), PLAN, 0)
    results["uneven"] = gather(processes, list(uneven.sampler))
    views = []
    for part in range(3):
        torch.manual_seed(processes.vary_seed(PLAN.seed * 1_000_003 + part))
        views.append(draw_maps(4, Augmentation()))
    results["views"] = gather(processes, views)
    results["asked"] = gather(processes, processes.ask_first(lambda: processes.rank))
    results["turns"] = gather(processes, take_turns(processes, folder))
    return results


def take_turns(processes: ManyProcesses, folder: Path) -> bool:
    """Whether this process made the file, of which a second attempt would fail."""
    path = folder / "made-once"

    def make() -> bool:
        if processes.is_first:
            time.sleep(0.5)  # whoever does not wait is quicker
        if path.exists():
            return False
        path.touch(exist_ok=False)
        return True

    return processes.take_turns(make)


if __name__ == "__main__":
    with join_processes("cpu") as processes:
        results = work(processes, Path(sys.argv[1]))
        if processes.is_first:
            torch.save(results, Path(sys.argv[1]) / "results.pt")
    os._exit(0)  # past all destructors, as utils.train_distributed does
