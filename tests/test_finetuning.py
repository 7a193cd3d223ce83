"""Fine-tuning: what learns, groups, schedule, range test, averaged weights, memory."""

import copy
import gc
import math
import weakref

import pytest
import torch
from torch import nn

from tests.small import make_loader, make_small_network
from utils.finetuning import (
    average_weights,
    choose_rate,
    copy_state,
    group_parameters,
    keep_statistics,
    make_schedule,
    measure_change,
    measure_saved_bytes,
    run_range_test,
    smooth_losses,
    stop_early,
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
        before, weights = list_statistics(network), network.conv.weight.clone()
        train_one_epoch(network, make_loader(), torch.optim.Adam(network.parameters()))
        assert all(map(torch.equal, before, list_statistics(network)))
        assert not torch.equal(network.conv.weight, weights)
        assert network.dropout.training and not network.norm.training


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


def test_schedule_rises_in_a_line_and_falls_in_a_cosine():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = make_schedule(optimizer, 100), []
    for _ in range(100):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert rates[10] == 1 and rates[55] == pytest.approx(0.5)
    assert all(low > high for low, high in zip(rates[10:], rates[11:], strict=False))
    assert 0 < rates[-1] < 0.001


def test_range_test_changes_nothing_of_the_model():
    model = make_small_network()
    model.conv.eval()  # an odd mode of its own
    before, modes = copy_state(model), [module.training for module in model.modules()]
    torch.manual_seed(7)
    following = torch.rand(3)
    torch.manual_seed(7)
    rates, losses = run_range_test(model, make_loader(), steps=5)
    assert torch.equal(torch.rand(3), following)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert rates == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
    assert run_range_test(model, make_loader(), steps=5) == (rates, losses)


def test_range_test_takes_steps_and_ends_where_the_loss_is_far_too_high():
    rates, losses = run_range_test(make_small_network(), make_loader(), 0.001, 1e9, steps=40)
    assert len(rates) == len(losses) < 40
    assert not losses[-1] < 3 * math.log(2)
    assert all(loss < 3 * math.log(2) for loss in losses[:-1])


def test_the_choice_lies_a_tenth_below_the_rise():
    rates = [10.0**power for power in range(-6, 0)]
    assert choose_rate(rates, [0.1, 0.1, 0.1, 0.1, 2.0, 9.0], classes=2) == pytest.approx(1e-3)
    assert choose_rate(rates, [0.1] * 6, classes=2) == pytest.approx(1e-2)
    # one unlucky batch on the way is no rise
    assert choose_rate(rates, [0.1, 0.5, 0.0, 0.0, 0.0, 9.0], classes=2) == pytest.approx(1e-2)


def test_smoothing_is_a_mean():
    assert smooth_losses([3.0] * 4) == pytest.approx([3.0] * 4)
    assert smooth_losses([1.0, 0.0], memory=0.5) == pytest.approx([1.0, 1 / 3])


@pytest.mark.parametrize(
    ("losses", "stops"),
    [([1.0], False), ([1.0, 1.1], False), ([1.0, 1.1, 1.2], True), ([1.0, 1.1, 0.9], False)],
)
def test_early_stopping_waits_for_its_patience(losses, stops):
    assert stop_early(losses, patience=2) is stops


def test_average_of_weights():
    start, end = make_small_network(), make_small_network()
    end.train()(torch.randn(8, 3, 16, 16))
    with torch.no_grad():
        end.conv.weight.add_(2)
    old, new = copy_state(start), copy_state(end)
    for name, tensor in average_weights(old, new, 0.0).items():
        assert name.endswith("num_batches_tracked") or torch.equal(tensor, old[name])
    for name, tensor in average_weights(old, new, 1.0).items():
        assert torch.equal(tensor, new[name])
    quarter = average_weights(old, new, 0.25)
    assert torch.allclose(quarter["conv.weight"], old["conv.weight"] + 0.5)
    expected = 0.75 * old["norm.running_mean"] + 0.25 * new["norm.running_mean"]
    assert torch.allclose(quarter["norm.running_mean"], expected)
    assert quarter["norm.num_batches_tracked"].item() == 1
    start.load_state_dict(quarter)


def test_a_copied_state_does_not_move_with_the_model():
    model = make_small_network()
    before = copy_state(model)
    train_one_epoch(model, make_loader(), torch.optim.Adam(model.parameters()))
    assert not torch.equal(before["fc.weight"], model.fc.weight)
    assert torch.equal(before["fc.weight"], make_small_network().fc.weight)


def test_change_is_the_way_by_the_length(lite):
    model = copy.deepcopy(lite)
    with torch.no_grad():
        for parameter in model.fc.parameters():
            parameter.mul_(1.5)
    changes = measure_change(copy_state(lite), model)
    assert changes.pop("head") == pytest.approx(0.5)
    assert set(changes.values()) == {0.0}


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
