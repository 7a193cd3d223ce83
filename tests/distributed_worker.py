"""What tests/test_distributed.py has torchrun start: `distributed_worker.py FILE`.

The first process saves into FILE what all of them have found.
"""

import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from small import make_loader, make_small_network
from torch import nn
from torch.utils.data import DataLoader

from utils.distributed import gather_logits, join_processes
from utils.finetuning import keep_statistics
from utils.settings import load_settings
from utils.training import train_one_epoch

EPOCHS, BATCH_SIZE, SEED = 2, 12, 3


def make_training() -> tuple[nn.Module, torch.optim.Optimizer, DataLoader, DataLoader]:
    """Model, optimizer, 48 images to train on, 11 to test on: neither 2 nor 3 divides these."""
    model = make_small_network()
    model.dropout.p = 0.0
    keep_statistics(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    train = DataLoader(make_loader(48).dataset, BATCH_SIZE, shuffle=True)
    return model, optimizer, train, DataLoader(make_loader(11, seed=1).dataset, BATCH_SIZE)


def train_together(accelerator: Accelerator) -> dict:
    """A training to its end; weights and answers as each process has them."""
    model, optimizer, train, test = make_training()
    if accelerator.process_index:  # the first one's weights count, whatever the others begin with
        nn.init.ones_(model.fc.weight)
    torch.manual_seed(SEED)
    network, optimizer, train, test = accelerator.prepare(model, optimizer, train, test)
    for _ in range(EPOCHS):
        train_one_epoch(network, train, optimizer)
    logits, labels = gather_logits(accelerator, network, test)
    everywhere = accelerator.gather(model.fc.weight.detach()[None])
    return {
        "weights": model.state_dict(),
        "everywhere": everywhere,
        "logits": logits,
        "labels": labels,
    }


if __name__ == "__main__":
    accelerator = join_processes(load_settings(), BATCH_SIZE)
    results = train_together(accelerator)
    if accelerator.is_main_process:
        torch.save(results, Path(sys.argv[1]))
    accelerator.end_training()
