"""One training shared by several processes, through Hugging Face's Accelerate.

Accelerate wraps model, optimizer and loader from outside: the loop of notebook 02 stays as it is.
Below it PyTorch's own engine averages the gradients (Li et al., 2020, "PyTorch Distributed",
https://arxiv.org/abs/2006.15704): by nccl between NVIDIA's GPUs, by gloo between processes on a
CPU. `torchrun` starts the processes, one for each GPU.
"""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import InitProcessGroupKwargs
from torch import nn
from torch.utils.data import DataLoader

from utils import training
from utils.settings import CourseError, Settings, load_settings, print_anything

PATIENCE = timedelta(hours=6)  # while the first process downloads and decodes for all


def make_parser(job: str, description: str) -> argparse.ArgumentParser:
    """The command line of a job: what it does, and the size of its batches."""
    prog = f"python -m utils.distributed.{job}"
    print_anything()
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    text = "images of all processes together"
    parser.add_argument("--batch-size", type=int, default=32, help=text)
    return parser


def run_job(
    work: Callable[[Settings, Accelerator, argparse.Namespace], None], given: argparse.Namespace
) -> None:
    """Do this process's share of `work`: the first one alone speaks, all of them report errors."""
    first = os.environ.get("RANK", "0") == "0"
    if not first:
        training.tqdm = partial(training.tqdm, disable=True)
    try:
        with contextlib.nullcontext() if first else contextlib.redirect_stdout(io.StringIO()):
            settings = load_settings()
            accelerator = join_processes(settings, given.batch_size)
            work(settings, accelerator, given)
            accelerator.end_training()
    except CourseError as error:
        sys.exit(str(error))


def join_processes(settings: Settings, batch_size: int) -> Accelerator:
    """Meet the processes that torchrun has started; a process that it has not started is alone.

    Loaders that it prepares give each process an equal share of every batch, and shuffle alike
    with any number of processes. On a machine without NVIDIA's GPUs the CPU trains: gloo sends
    nothing between Apple's. Raises CourseError where the batch has no equal shares.
    """
    accelerator = Accelerator(
        cpu=settings.device != "cuda",
        dataloader_config=DataLoaderConfiguration(split_batches=True, use_seedable_sampler=True),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    size = accelerator.num_processes
    if batch_size < size or batch_size % size:
        fitting = size * max(1, round(batch_size / size))
        raise CourseError(
            f"A batch of {batch_size} images has no equal shares for {size} processes: choose a "
            f"multiple of {size}, such as {fitting}."
        )
    return accelerator


@torch.no_grad()
def gather_logits(
    accelerator: Accelerator, model: nn.Module, loader: DataLoader
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits float32 [N, classes] and labels int64 [N] of all images, in every process, on the CPU.

    `model` and `loader` are prepared. Each image comes once and in the order of the loader's
    dataset, whatever the number of processes.
    """
    model.eval()
    gathered = [
        accelerator.gather_for_metrics((model(images), labels)) for images, labels in loader
    ]
    logits, labels = (torch.cat(each).cpu() for each in zip(*gathered, strict=True))
    return logits, labels
