"""One training shared by many processes, with PyTorch's own engine.

`torchrun` starts the processes and ends them together; DistributedDataParallel averages their
gradients (Li et al., 2020, "PyTorch Distributed", https://arxiv.org/abs/2006.15704), and
DistributedSampler deals out the pictures. Between processors the numbers travel by gloo, between
NVIDIA's GPUs by nccl.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset, DistributedSampler, Subset

from utils.errors import CourseError
from utils.processes import OneProcess
from utils.settings import Settings, find_precision
from utils.training import Plan

Result = TypeVar("Result")

PATIENCE = timedelta(hours=12)  # for the process that downloads and decodes for all
SEEDS_APART = 10_007  # more than a training has parts, and 99 times that is less than 1,000,003
LOST = (
    "This job has lost one of its processes (killed, or out of memory) or was stopped: start it "
    "again, and it goes on from what it has saved."
)


@dataclass(frozen=True)
class Share(Dataset):
    """A dataset of which `sampler` gives this process its part, in this epoch's order."""

    whole: Dataset
    sampler: DistributedSampler

    def __len__(self) -> int:
        return len(self.whole)

    def __getitems__(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.whole.__getitems__(rows)


class ManyProcesses(OneProcess):
    """This process's share, as `fit` and `evaluate` ask for it; made by `join_processes`."""

    def __init__(self, rank: int, size: int, local_rank: int, group: dist.ProcessGroup) -> None:
        self.rank = rank  # of `size`
        self.size = size
        self.local_rank = local_rank  # number of the process on its machine, and of its GPU
        self.group = group  # gloo: what the processes tell each other about, on processors
        self.is_first = rank == 0

    def wait(self) -> None:
        """Return when all processes are here."""
        dist.barrier(self.group)

    def ask_first(self, work: Callable[[], Result]) -> Result:
        box = [work() if self.is_first else None]
        dist.broadcast_object_list(box, src=0, group=self.group)
        return box[0]

    def take_turns(self, work: Callable[[], Result]) -> Result:
        """What `work` returns here, after the first process has been through with it.

        For what is downloaded or computed once and found on disk from then on. The first of each
        other machine comes second, since its disk may be another; then all others.
        """
        turn = 0 if self.is_first else 1 if self.local_rank == 0 else 2
        for now in range(3):
            if now == turn:
                result = work()
            self.wait()
        return result

    def divide(self, plan: Plan) -> Plan:
        """Raises CourseError where the batch has no equal parts."""
        part, rest = divmod(plan.batch_size, self.size)
        if rest or not part:
            fitting = self.size * max(1, round(plan.batch_size / self.size))
            raise CourseError(
                f"A batch of {plan.batch_size} pictures has no equal parts for {self.size} "
                f"processes: choose a multiple of {self.size}, such as {fitting}."
            )
        return replace(plan, batch_size=part)

    def wrap(self, model: nn.Module, plan: Plan) -> nn.Module:
        """The first process's weights everywhere; from then on, gradients that are means.

        Raises CourseError where batch norm would learn statistics: each process would see those of
        its own part of the batch, and the networks would part.
        """
        if not plan.freeze_statistics and any(map(learns_statistics, model.modules())):
            raise CourseError(
                "Batch norm would learn other statistics in each process: set freeze_statistics in "
                "the Plan, or freeze those layers."
            )
        devices = [self.local_rank] if plan.device == "cuda" else None
        return DistributedDataParallel(model, devices)

    def vary_seed(self, seed: int) -> int:
        # Not seed + rank: `fit` counts its seeds up by one a part, so the second process would
        # draw in each part what the first draws in the next. And nothing beyond 32 bits, which
        # PyTorch's generator on processors passes over.
        return seed + SEEDS_APART * self.rank

    def share_training(self, pictures: Dataset, plan: Plan, part: int) -> Dataset:
        """Every `size`-th of the shuffled pictures, in an order of its own for each `part`.

        Where their number is no multiple of `size`, the sampler shows the first few again.
        """
        sampler = DistributedSampler(pictures, self.size, self.rank, seed=plan.seed)
        sampler.set_epoch(part)
        return Share(pictures, sampler)

    def average(self, *numbers: float) -> tuple[float, ...]:
        total = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(total, group=self.group)
        return tuple((total / self.size).tolist())

    def share_evaluation(self, pictures: Dataset) -> Dataset:
        """Every `size`-th picture. Raises CourseError where some process would have none."""
        if len(pictures) < self.size:
            raise CourseError(
                f"{len(pictures)} pictures cannot be evaluated by {self.size} processes: start "
                f"{len(pictures)} at most."
            )
        return Subset(pictures, range(self.rank, len(pictures), self.size))

    def collect(self, own: torch.Tensor, count: int) -> torch.Tensor:
        # Each row is some process's and zero in all others, so the sum is that row: no picture
        # counts twice, whatever their number.
        whole = own.new_zeros(count, *own.shape[1:])
        whole[self.rank :: self.size] = own
        dist.all_reduce(whole, group=self.group)
        return whole


def count_cores() -> int:
    """The cores this process may use: on a cluster, or in a container, not all there are."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def learns_statistics(module: nn.Module) -> bool:
    """Whether it is batch norm that `set_training_mode` would put into train mode."""
    return isinstance(module, nn.modules.batchnorm._BatchNorm) and any(
        parameter.requires_grad for parameter in module.parameters()
    )


def settle(settings: Settings, processes: ManyProcesses) -> Settings:
    """The settings as all processes can keep them: one precision, and a device they can share.

    nccl and gloo send nothing between Apple's GPUs: there the processors train.
    """
    if settings.device == "mps":
        settings = replace(settings, device="cpu", precision=find_precision("cpu"))
    return replace(settings, precision=processes.ask_first(lambda: settings.precision))


@contextlib.contextmanager
def join_processes(device: str) -> Iterator[ManyProcesses]:
    """Meet the other processes that torchrun has started; part from them at the end.

    An error ends the job with one sentence, by whichever process is the first to know of it:
    SystemExit is raised instead. Raises CourseError where torchrun has not started this process,
    or a machine has fewer GPUs than processes.
    """
    if "LOCAL_RANK" not in os.environ:
        raise CourseError(
            "This process is one of none: start it with torchrun --standalone --nproc_per_node=2 "
            "-m utils.train_distributed …"
        )
    local_rank, local_size = (int(os.environ[f"LOCAL_{name}"]) for name in ("RANK", "WORLD_SIZE"))
    if device == "cuda":
        if local_size > torch.cuda.device_count():
            raise CourseError(
                f"{local_size} processes and {torch.cuda.device_count()} GPUs: start one process a "
                "GPU, --nproc_per_node=gpu."
            )
        torch.cuda.set_device(local_rank)
    elif os.environ.get("OMP_NUM_THREADS", "1") == "1":  # unset, or torchrun's choice for many
        torch.set_num_threads(max(1, count_cores() // local_size))
    store, rank, size = next(iter(dist.rendezvous("env://")))
    with speak_once(store):
        backend = "nccl" if device == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        group = dist.new_group(backend="gloo", timeout=PATIENCE)
        yield ManyProcesses(rank, size, local_rank, group)
        dist.destroy_process_group()


@contextlib.contextmanager
def speak_once(store: dist.Store) -> Iterator[None]:
    """Turn what ends a job into one sentence of one process, and exit code 1 in all of them.

    The others find out by a broken connection, or because torchrun ends them.
    """

    def speak(sentence: str) -> None:
        with contextlib.suppress(Exception):  # without the store, rather twice than never
            if store.add("spoken", 1) > 1:
                return
        print(sentence, file=sys.stderr, flush=True)

    def stop(number, frame) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    try:
        try:
            yield
        except BaseException:
            # torchrun's signal may come while a broken connection is being told of.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise
    except CourseError as error:
        speak(str(error))
    except (SystemExit, KeyboardInterrupt):
        speak(LOST)
    except RuntimeError as error:
        if not is_lost_connection(error):
            raise
        speak(LOST)
    else:
        return
    # Past all destructors: those of a broken process group wait for what will never come.
    sys.stdout.flush()
    os._exit(1)


def is_lost_connection(error: RuntimeError) -> bool:
    """Whether PyTorch's engine says that another process is gone."""
    signs = ("Connection closed by peer", "Connection reset", "Broken pipe", "Read error", "NCCL")
    network = isinstance(error, dist.DistError) or "gloo" in str(error)
    return network and any(sign in str(error) for sign in signs)
