"""Exercises of notebook 09: wrong answers with their hint, unusual right ones."""

import pytest
import torch
from solutions import NOT_TRIED, judge
from torch.utils.data import DistributedSampler


def test_half_a_bill_is_none() -> None:
    assert NOT_TRIED in judge("9.5", (1_000, 3, 400, ..., ...))


def share_in_blocks(order, rank, size):
    shorter, longer = divmod(len(order), size)
    first = rank * shorter + min(rank, longer)
    return order[first : first + shorter + (rank < longer)]


def list_with_new_samplers(count, rank, size, epochs):
    for epoch in range(epochs):
        sampler = DistributedSampler(range(count), num_replicas=size, rank=rank, shuffle=True)
        sampler.set_epoch(epoch)
        yield tuple(sampler)


def list_without_epoch(count, rank, size, epochs):
    sampler = DistributedSampler(range(count), size, rank)
    return [list(sampler) for _ in range(epochs)]


def combine_in_place(gradients, counts):
    total = torch.zeros_like(gradients[0])
    for gradient, count in zip(gradients, counts, strict=True):
        total.add_(gradient, alpha=count / sum(counts))
    return total


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("9.1", share_in_blocks),
        ("9.1", lambda order, rank, size: [r for i, r in enumerate(order) if i % size == rank]),
        ("9.1", lambda order, rank, size: tuple(order[size - 1 - rank :: size])),
        ("9.2", lambda *arguments: list(list_with_new_samplers(*arguments))),
        ("9.3", combine_in_place),
        (
            "9.3",
            lambda gradients, counts: (
                (torch.stack(gradients) * torch.tensor(counts)[:, None]).sum(0).numpy()
                / sum(counts)
            ),
        ),
        ("9.4", lambda step, warm_up: 0.8 if step >= warm_up else 0.1 + 0.7 * step / warm_up),
        ("9.4", lambda step, warm_up: torch.tensor(0.1 + 0.7 * min(1, step / warm_up)).double()),
        ("9.5", ("1000", 10, 100, 1.5, 0.04)),
    ],
)
def test_unusual_right_answers(number: str, answer) -> None:
    assert judge(number, answer).endswith("✔ right.")


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("9.1", lambda order, rank, size: order, "dealt twice"),
        ("9.1", lambda order, rank, size: order[rank::size][: len(order) // size], "left out"),
        (
            "9.1",
            lambda order, rank, size: list(DistributedSampler(order, size, rank, shuffle=False)),
            "dealt twice",
        ),
        ("9.1", lambda order, rank, size: order if rank == 0 else [], "wait for another"),
        ("9.2", list_without_epoch, "which epoch"),
        (
            "9.2",
            lambda n, rank, size, e: list(DistributedSampler(range(n), size, rank)),
            "stops with TypeError",
        ),
        ("9.2", lambda n, rank, size, e: [torch.randperm(n).tolist()] * e, "every row once"),
        ("9.2", lambda n, rank, size, e: [list(range(n))[rank::size]], "one order per epoch"),
        ("9.3", lambda g, counts: sum(g) / len(g), "not the mean over all"),
        ("9.3", lambda g, counts: sum(x * n for x, n in zip(g, counts, strict=True)), "the sum"),
        (
            "9.3",
            lambda g, counts: sum(x * n for x, n in zip(g, counts, strict=True)) / len(g),
            "number of processes",
        ),
        ("9.3", lambda g, counts: sum(g).mean(), "the shape"),
        ("9.4", lambda step, warm_up: 0.1, "At step 50"),
        ("9.4", lambda step, warm_up: 0.8, "At step 0"),
        ("9.4", lambda step, warm_up: 0.8 * min(1.0, step / warm_up), "At step 0"),
        ("9.4", lambda step, warm_up: 0.1 + 0.7 * step / warm_up, "At step 5,000"),
        ("9.4", lambda s, w: 0.1 + (0.1 * 8**0.5 - 0.1) * min(1.0, s / w), "At step 50"),
        ("9.5", (23_000, 3, 400, 2.0, 345.0), "per hour"),
        ("9.5", (230_000, 3, 400, 2.0, 0.319), "one epoch"),
        ("9.5", (23_000, 3, 400, 2.0, 5.0), "hours at 2"),
        ("9.5", (23_000, 3, 0, 2.0, 5.0), "larger than zero"),
    ],
)
def test_wrong_answers_get_their_hint(number: str, answer, hint: str) -> None:
    said = judge(number, answer)
    assert "✘" in said and hint in said
