"""Notebook 04's fine-tuning by any number of processes: one for each GPU, or some on a CPU.

    torchrun --standalone --nproc_per_node=2 -m utils.distributed.train --epochs 3

Dataset, backbone and home are the course's own settings (COURSE_PROFILE, COURSE_DATA,
COURSE_BACKBONE, COURSE_HOME). The first process saves the result as the run `distributed`. A job
that was ended goes on from its last whole epoch, with as many processes as you then start.
"""

import argparse
import time
from collections.abc import Sized

import torch
from accelerate import Accelerator
from torch.nn import functional as F
from torch.utils.data import DataLoader

from utils import training
from utils.claims import format_accuracy
from utils.data import make_loaders
from utils.distributed import gather_logits, make_parser, run_job
from utils.recipes import UNFROZEN_EPOCHS, UNFROZEN_RATE, prepare_unfrozen
from utils.runs import find_folder, save_run
from utils.settings import Settings

SEED = 0


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line of this module."""
    parser = make_parser("train", __doc__)
    parser.add_argument("--epochs", type=int, default=UNFROZEN_EPOCHS)
    parser.add_argument("--rate", type=float, default=UNFROZEN_RATE, help="the head's")
    return parser.parse_args(arguments)


def fine_tune(settings: Settings, accelerator: Accelerator, given: argparse.Namespace) -> None:
    """Train the best linear head and the backbone from stage 3 up; test once; save the run.

    As `recipes.make_unfrozen` does it, but for the random views: each process draws its own.
    """
    with accelerator.main_process_first():  # it downloads and computes what the others then find
        loaders = make_loaders(settings)
        model, optimizer = prepare_unfrozen(settings, accelerator.device, given.rate)
    train, validation, test = (
        DataLoader(
            loader.dataset,
            given.batch_size,
            shuffle=loader is loaders.train,
            num_workers=loader.num_workers,
            pin_memory=settings.device == "cuda",
        )
        for loader in (loaders.train, loaders.validation, loaders.test)
    )
    identity = training.describe_training(model, train, optimizer, SEED)
    checkpoint = find_folder(settings, "distributed") / "checkpoint.pt"
    with accelerator.main_process_first():  # what it puts aside the others do not find any more
        saved = training.read_checkpoint(checkpoint, identity)
    assert isinstance(loaders.train.dataset, Sized)
    history = saved["history"] if saved else {name: [] for name in training.QUANTITIES}
    if saved:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    torch.manual_seed(SEED)  # of the order, which is the same everywhere
    network, optimizer, train, validation, test = accelerator.prepare(
        model, optimizer, train, validation, test
    )
    for epoch in range(len(history["seconds"]), given.epochs):
        train.set_epoch(epoch)
        torch.manual_seed(1000 * epoch + accelerator.process_index)  # of the views, each its own
        start = time.perf_counter()
        own = training.train_one_epoch(network, train, optimizer)
        loss, accuracy = accelerator.reduce(
            torch.tensor(own, device=accelerator.device), "mean"
        ).tolist()
        seconds = time.perf_counter() - start
        logits, labels = gather_logits(accelerator, network, validation)
        right = (logits.argmax(dim=1) == labels).float().mean().item()
        numbers = loss, accuracy, F.cross_entropy(logits, labels).item(), right, seconds
        for name, number in zip(training.QUANTITIES, numbers, strict=True):
            history[name].append(number)
        print(
            f"epoch {epoch + 1}: training loss {loss:.4f}, validation accuracy {right:.1%}, "
            f"{len(loaders.train.dataset) / seconds:.0f} images per second",
            flush=True,
        )
        if accelerator.is_main_process:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            training.write_checkpoint(checkpoint, identity, state | {"history": history})
    logits, labels = gather_logits(accelerator, network, test)
    if accelerator.is_main_process:
        run = save_run(settings, "distributed", model, history, (logits, labels), loaders)
        print(f"test accuracy {format_accuracy(run.correct, run.n_test)}")
        print(f"{accelerator.num_processes} processes, batch of {given.batch_size}")


if __name__ == "__main__":
    run_job(fine_tune, parse_arguments())
