"""Checks of the exercises of notebook 06: more than one GPU."""

from collections.abc import Callable

from utils.exercises import ask, checks


@checks("6.1")
def check_6_1(share: Callable) -> str | None:
    for count, size in ((12, 3), (11, 3), (7, 4), (2, 3)):
        order = [(5 * place + 3) % count if count % 5 else place for place in range(count)]
        parts = [list(ask(share, order, rank, size)) for rank in range(size)]
        dealt = [row for part in parts for row in part]
        case = f"For {count} rows and {size} processes"
        if len(dealt) > len(set(dealt)):
            return f"{case} some row is dealt twice: {parts}."
        if set(dealt) != set(order):
            return f"{case} rows are left out or made up: {parts}."
        sizes = [len(part) for part in parts]
        if max(sizes) - min(sizes) > 1:
            return f"{case} the parts have {sizes} rows: nobody should wait for another."
    return None


@checks("6.2")
def check_6_2(list_epochs: Callable) -> str | None:
    from torch.utils.data import DistributedSampler

    count, size, epochs = 12, 3, 3
    shown = [[list(order) for order in ask(list_epochs, count, rank, size, epochs)]
             for rank in range(size)]  # fmt: skip
    if any(len(orders) != epochs for orders in shown):
        return f"There is one order an epoch, so {epochs} of them."
    for epoch in range(epochs):
        if sorted(sum((orders[epoch] for orders in shown), [])) != list(range(count)):
            return f"In epoch {epoch} the processes together do not show every row once."
    if all(order == orders[0] for orders in shown for order in orders):
        return "Every epoch has the same order: the sampler has to be told which epoch it is."
    for rank, orders in enumerate(shown):
        sampler = DistributedSampler(range(count), size, rank, shuffle=True)
        for epoch, order in enumerate(orders):
            sampler.set_epoch(epoch)
            if order != list(sampler):
                return f"In epoch {epoch} process {rank} is shown {order}, not {list(sampler)}."
    return None


@checks("6.3")
def check_6_3(combine: Callable) -> str | None:
    for correct, seen in (([9, 8], [10, 10]), ([99, 1], [100, 4]), ([3, 0, 5], [3, 1, 8])):
        given, right = ask(combine, correct, seen), sum(correct) / sum(seen)
        if abs(given - right) > 1e-9:
            return f"{correct} right of {seen} is an accuracy of {right:.3f}, not {given:.3f}."
    return None


@checks("6.4")
def check_6_4(find_rate: Callable) -> str | None:
    warm_up = 100
    for step, right in ((0, 0.1), (50, 0.45), (100, 0.8), (5_000, 0.8)):
        given = ask(find_rate, step, warm_up)
        if abs(given - right) > 1e-6:
            return f"At step {step:,}, with {warm_up} of warm-up, it is {right}, not {given:g}."
    return None
