"""Checks of the exercises of notebook 09: more than one GPU."""

import math
from collections.abc import Callable

import torch
from torch.utils.data import DistributedSampler, TensorDataset

from utils.exercises import ask, checks


@checks("9.1")
def check_share(share: Callable) -> str | None:
    for count, size in ((12, 3), (11, 3), (7, 4), (2, 3)):
        order = torch.randperm(count, generator=torch.Generator().manual_seed(count)).tolist()
        shares = [list(ask(share, order, rank, size)) for rank in range(size)]
        dealt = [row for each in shares for row in each]
        case = f"For {count} rows and {size} processes"
        if len(dealt) > len(set(dealt)):
            return f"{case} some row is dealt twice: {shares}."
        if set(dealt) != set(order):
            return f"{case} rows are left out or made up: {shares}."
        sizes = [len(each) for each in shares]
        if max(sizes) - min(sizes) > 1:
            return f"{case} the shares have {sizes} rows: nobody should wait for another."
    return None


@checks("9.2")
def check_epochs(list_epochs: Callable) -> str | None:
    count, size, epochs = 12, 3, 3
    shown = [
        [list(order) for order in ask(list_epochs, count, rank, size, epochs)]
        for rank in range(size)
    ]
    if any(len(orders) != epochs for orders in shown):
        return f"There is one order per epoch, so {epochs} of them."
    for epoch in range(epochs):
        if sorted(row for orders in shown for row in orders[epoch]) != list(range(count)):
            return f"In epoch {epoch} the processes together do not show every row once."
    if all(order == orders[0] for orders in shown for order in orders):
        return "Every epoch has the same order: the sampler has to be told which epoch it is."
    data = TensorDataset(torch.arange(count))
    for rank, orders in enumerate(shown):
        sampler: DistributedSampler = DistributedSampler(data, size, rank)
        for epoch, order in enumerate(orders):
            sampler.set_epoch(epoch)
            if order != list(sampler):
                return f"In epoch {epoch} process {rank} is shown {order}, not {list(sampler)}."
    return None


@checks("9.3")
def check_combine(combine: Callable) -> str | None:
    generator = torch.Generator().manual_seed(0)
    for counts in ([8, 8, 4], [3, 1], [5, 5]):
        each_image = torch.randn(sum(counts), 6, generator=generator)
        gradients = [share.mean(dim=0) for share in each_image.split(counts)]
        given, right = torch.as_tensor(ask(combine, gradients, counts)), each_image.mean(dim=0)
        if given.shape != right.shape:
            return f"The gradient has {len(right)} numbers; yours has the shape {given.shape}."
        if torch.allclose(given, right * sum(counts), atol=1e-4):
            return "That is the sum of all images' gradients: divide by how many images there are."
        if torch.allclose(given, right * sum(counts) / len(counts), atol=1e-4):
            return "Divide by the number of images, not by the number of processes."
        if not torch.allclose(given, right, atol=1e-5):
            return f"With shares of {counts} images it is not the mean over all {sum(counts)}."
    return None


@checks("9.4")
def check_rate(find_rate: Callable) -> str | None:
    warm_up = 100
    for step, right in ((0, 0.1), (50, 0.45), (100, 0.8), (5_000, 0.8)):
        given = float(ask(find_rate, step, warm_up))
        if not math.isclose(given, right, abs_tol=1e-6):
            return f"At step {step:,}, with a warm-up of {warm_up}, it is {right}, not {given:g}."
    return None


@checks("9.5")
def check_bill(numbers: tuple) -> str | None:
    images, epochs, speed, price, bill = map(float, numbers)
    if min(images, epochs, speed, price) <= 0:
        return "Images, epochs, speed and price are all larger than zero."
    hours = images * epochs / speed / 3600
    if math.isclose(bill, hours * price, rel_tol=0.05, abs_tol=0.005):
        return None
    if math.isclose(bill, hours * price * 3600, rel_tol=0.05):
        return "The price is per hour, and your time is in seconds."
    if math.isclose(bill, hours * price / epochs, rel_tol=0.05):
        return "That is the price of one epoch."
    return f"{hours:.2f} hours at {price:g} per hour are {hours * price:.2f}, not {bill:g}."
