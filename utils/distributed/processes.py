"""What a training asks about sharing its work, answered for a training that shares nothing."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from utils.training import Plan

Result = TypeVar("Result")


class OneProcess:
    """The whole of a training in this process.

    `utils.distributed.ManyProcesses` has the same methods for a process that is one of many.
    """

    is_first = True  # this process writes files, and speaks

    def ask_first(self, work: Callable[[], Result]) -> Result:
        """What `work` returns in the first process, in all of them."""
        return work()

    def divide(self, plan: "Plan") -> "Plan":
        """The plan with this process's part of each batch."""
        return plan

    def wrap(self, model: nn.Module, plan: "Plan") -> nn.Module:
        """The network whose gradients are those of the whole batch."""
        return model

    def vary_seed(self, seed: int) -> int:
        """A seed for random views and dropout that no other process draws from."""
        return seed

    def share_training(self, pictures: Dataset, plan: "Plan", part: int) -> Dataset:
        """What this process is shown of a part of the training, the `part`-th since its start."""
        return pictures

    def average(self, *numbers: float) -> tuple[float, ...]:
        """Means over all processes, which were shown equally many pictures."""
        return numbers

    def share_evaluation(self, pictures: Dataset) -> Dataset:
        """The pictures this process evaluates: each picture is some process's, and of one only."""
        return pictures

    def collect(self, own: torch.Tensor, count: int) -> torch.Tensor:
        """All processes' rows of an evaluation of `count` pictures, [count, …], in their order."""
        return own


ONE_PROCESS = OneProcess()
