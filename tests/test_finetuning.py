"""Fine-tuning: what learns, groups, memory."""

import copy
import gc
import weakref

import pytest
import torch
from torch import nn

from tests.small import make_loader, make_small_network
from utils.finetuning import (
    group_parameters,
    keep_statistics,
    measure_saved_bytes,
    unfreeze_from,
)
from utils.models import list_stages, load_efficientnet_lite0
from utils.training import train_one_epoch


@pytest.fixture(scope="module")
def lite() -> nn.Module:
    return load_efficientnet_lite0()


def list_statistics(model: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for name, value in model.state_dict().items() if "running" in name]


def test_statistics_stay_while_the_loop_trains_and_in_copies_too():
    model = make_small_network()
    keep_statistics(model)
    for network in (model, copy.deepcopy(model)):
        before, weights = list_statistics(network), network.body[0].weight.clone()
        train_one_epoch(network, make_loader(), torch.optim.Adam(network.parameters()))
        assert all(map(torch.equal, before, list_statistics(network)))
        assert not torch.equal(network.body[0].weight, weights)
        assert network.dropout.training and not network.body[1].training


def test_statistics_move_without_it():
    model = make_small_network()
    before = list_statistics(model)
    train_one_epoch(model, make_loader(), torch.optim.Adam(model.parameters()))
    assert not any(map(torch.equal, before, list_statistics(model)))


def test_unfreezing_begins_at_a_stage(lite):
    model = copy.deepcopy(lite)
    for lowest, expected in (("head", 1), ("stage 3", 3), ("stem", 6), ("stage 4", 2)):
        unfreeze_from(model, lowest)
        learns = [
            {parameter.requires_grad for module in modules for parameter in module.parameters()}
            for modules in list_stages(model).values()
        ]
        assert learns == [{False}] * (6 - expected) + [{True}] * expected


def test_groups_hold_what_learns_once_and_their_rates_fall(lite):
    model = copy.deepcopy(lite)
    for lowest, count in (("stem", 6), ("stage 3", 3)):
        unfreeze_from(model, lowest)
        groups = group_parameters(model, head_rate=0.1, factor=0.5)
        assert [group["name"] for group in groups] == list(reversed(list_stages(model)))[:count]
        assert [group["lr"] for group in groups] == [0.1 * 0.5**place for place in range(count)]
        held = [id(parameter) for group in groups for parameter in group["params"]]
        assert len(held) == len(set(held))
        assert set(held) == {id(p) for p in model.parameters() if p.requires_grad}


def test_saved_bytes_are_what_the_backward_pass_needs():
    """A linear layer keeps its input, a ReLU its output, the loss its logits' log-softmax."""
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 3))
    inputs, labels = torch.randn(4, 10), torch.tensor([0, 1, 2, 0])
    loss = 4 * (4 * 3) + 8 * 4 + 4  # log-softmax in floats, labels in int64, the sum of weights
    assert measure_saved_bytes(model, inputs, labels) == 4 * (4 * 10 + 4 * 20) + loss
    model[0].requires_grad_(False)
    assert measure_saved_bytes(model, inputs, labels) == 4 * (4 * 20) + loss


def test_unfrozen_keeps_far_more_and_grows_with_the_batch(lite):
    model = copy.deepcopy(lite)
    images, labels = torch.rand(2, 3, 64, 64), torch.tensor([0, 1])
    unfreeze_from(model, "head")
    frozen = measure_saved_bytes(model, images, labels)
    unfreeze_from(model, "stage 3")
    upper = measure_saved_bytes(model, images, labels)
    unfreeze_from(model, "stem")
    one, two = (measure_saved_bytes(model, images[:n], labels[:n]) for n in (1, 2))
    assert 20 * frozen < upper < 0.7 * two
    assert two == pytest.approx(2 * one, rel=0.01)


def test_counting_saved_bytes_leaves_nothing_behind():
    """A graph whose saved tensors point to it would hold its memory for ever."""
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Sigmoid(), nn.Linear(20, 3))
    outputs = []
    for layer in model[1:3]:  # both save their output
        layer.register_forward_hook(lambda *call: outputs.append(weakref.ref(call[2])))
    measure_saved_bytes(model, torch.randn(4, 10), torch.tensor([0, 1, 2, 0]))
    gc.collect()
    assert [reference() for reference in outputs] == [None, None]
