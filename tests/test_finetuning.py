"""Fine-tuning: groups, schedule, averaged weights, memory, the range test, and its figures."""

import copy
import gc
import math
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tests.test_training import PLAN, TRAIN, VALIDATION, assert_same_weights, make_training
from utils import plots_finetuning
from utils.exercises_03 import make_small_network
from utils.finetuning import (
    average_weights,
    copy_state,
    group_parameters,
    measure_change,
    measure_saved_bytes,
    stop_early,
    unfreeze_from,
    warm_up_then_cosine,
)
from utils.models import load_backbone, set_training_mode, split_stages, unfreeze
from utils.rate_finder import choose_rate, run_range_test, smooth_losses
from utils.training import divide_epochs, evaluate, fit


@pytest.fixture(scope="module")
def lite() -> nn.Module:
    return load_backbone("efficientnet_lite0")


def test_groups_hold_every_parameter_once_and_their_rates_fall(lite):
    groups = group_parameters(lite, head_rate=0.1, factor=0.5)
    assert [group["name"] for group in groups] == list(reversed(split_stages(lite)))
    assert [group["lr"] for group in groups] == [0.1 * 0.5**place for place in range(6)]
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in lite.parameters()}


def test_unfreezing_begins_at_a_stage(lite):
    model = copy.deepcopy(lite)
    for lowest, expected in (("head", 1), ("stage 3", 3), ("stem", 6), ("stage 4", 2)):
        unfreeze_from(model, lowest)
        learns = [
            {parameter.requires_grad for module in modules for parameter in module.parameters()}
            for modules in split_stages(model).values()
        ]
        assert learns == [{False}] * (6 - expected) + [{True}] * expected


def test_schedule_rises_in_a_line_and_falls_in_a_cosine():
    factors = [warm_up_then_cosine(step, 100) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10] == 1 and factors[55] == pytest.approx(0.5)
    assert all(low > high for low, high in zip(factors[10:], factors[11:], strict=False))
    assert 0 < factors[-1] < 0.001


def test_schedule_of_a_single_step_is_a_full_step():
    assert warm_up_then_cosine(0, 1) == pytest.approx(1 / 1.1)


def test_average_of_weights():
    start, end = make_small_network(), make_small_network()
    torch.manual_seed(1)
    end.train()(torch.randn(8, 3, 64, 64))
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
    model, optimizer, _ = make_training()
    before = copy_state(model)
    fit(model, optimizer, TRAIN, VALIDATION, replace(PLAN, epochs=1))
    assert not torch.equal(before["fc.weight"], model.fc.weight)
    assert torch.equal(before["fc.weight"], make_training()[0].fc.weight)


def test_change_is_the_way_by_the_length(lite):
    model = copy.deepcopy(lite)
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.mul_(1.5)
    changes = measure_change(copy_state(lite), model)
    assert changes.pop("head") == pytest.approx(0.5)
    assert set(changes.values()) == {0.0}


def test_saved_bytes_are_what_the_way_back_needs():
    """A linear layer keeps its input, a ReLU its output, the loss its logits' log-softmax."""
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 3))
    inputs, labels = torch.randn(4, 10), torch.tensor([0, 1, 2, 0])
    loss = 4 * (4 * 3) + 8 * 4 + 4  # log-softmax in floats, labels in int64, the sum of weights
    assert measure_saved_bytes(model, inputs, labels) == 4 * (4 * 10 + 4 * 20) + loss
    model[0].requires_grad_(False)
    assert measure_saved_bytes(model, inputs, labels) == 4 * (4 * 20) + loss


def test_unfrozen_keeps_far_more_and_grows_with_the_batch(lite):
    model = copy.deepcopy(lite)
    set_training_mode(model, freeze_statistics=True)
    images, labels = torch.rand(2, 3, 64, 64), torch.tensor([0, 1])
    model.requires_grad_(False)
    model.classifier.requires_grad_(True)
    frozen = measure_saved_bytes(model, images, labels)
    unfreeze(model)
    one, two = (measure_saved_bytes(model, images[:n], labels[:n]) for n in (1, 2))
    assert one > 20 * frozen
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


@pytest.mark.parametrize(
    ("losses", "stops"),
    [([1.0], False), ([1.0, 1.1], False), ([1.0, 1.1, 1.2], True), ([1.0, 1.1, 0.9], False)],
)
def test_early_stopping_waits_for_its_patience(losses, stops):
    assert stop_early(losses, patience=2) is stops


def test_a_network_that_was_evaluated_trains_on():
    """Moved or laid out anew in inference mode, its weights would refuse every gradient."""
    model, optimizer, _ = make_training()
    plan = replace(PLAN, epochs=1)
    evaluate(model, VALIDATION, plan)
    before = copy_state(model)
    fit(model, optimizer, TRAIN, VALIDATION, plan)
    assert not torch.equal(model.conv.weight, before["conv.weight"])


# An epoch that is evaluated more than once.

PARTS = replace(PLAN, epochs=2, evaluations_per_epoch=2)


def test_the_parts_of_an_epoch_are_all_pictures_once_in_whole_batches():
    parts = divide_epochs(TRAIN, PARTS)
    assert [len(part) for part in parts] == [8, 12, 8, 12]  # 20 pictures: batches of 8, 8 and 4
    for first, second in (parts[:2], parts[2:]):
        assert sorted([*first.indices, *second.indices]) == list(range(20))
    assert parts[0].indices != parts[2].indices  # another order in each epoch


def test_there_are_no_more_parts_than_batches():
    parts = divide_epochs(TRAIN, replace(PLAN, epochs=1, evaluations_per_epoch=9))
    assert [len(part) for part in parts] == [8, 8, 4]


def train_in_parts(checkpoint=None, stop_after=None, stop=None):
    def interrupt(history):
        if len(history.seconds) == stop_after:
            raise KeyboardInterrupt

    model, optimizer, schedule = make_training()
    torch.manual_seed(np.random.default_rng().integers(1000).item())
    history = None
    try:
        history = fit(model, optimizer, TRAIN, VALIDATION, PARTS, schedule, checkpoint, interrupt,
                      stop)  # fmt: skip
    except KeyboardInterrupt:
        pass
    return model, history, schedule


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_training_interrupted_within_an_epoch_ends_with_the_same_bits(tmp_path, stop_after):
    whole, history, schedule = train_in_parts()
    assert len(history.seconds) == 4 and schedule.last_epoch == 6  # two epochs of three steps
    checkpoint = tmp_path / "checkpoint.pt"
    interrupted, nothing, _ = train_in_parts(checkpoint, stop_after)
    assert nothing is None
    assert not torch.equal(interrupted.fc.weight, whole.fc.weight)
    resumed, again, _ = train_in_parts(checkpoint)
    assert_same_weights(resumed, whole)
    assert again.validation_loss == history.validation_loss


def test_a_stopped_training_stays_stopped(tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    stop = lambda history: len(history.seconds) == 3  # noqa: E731
    first, history, _ = train_in_parts(checkpoint, stop=stop)
    assert len(history.seconds) == 3
    second, again, _ = train_in_parts(checkpoint, stop=stop)
    assert_same_weights(first, second)
    assert again == history


# The range test.


def test_range_test_changes_nothing_of_the_model():
    model = make_small_network(2)
    model.conv.eval()  # an odd mode of its own
    before, modes = copy_state(model), [module.training for module in model.modules()]
    torch.manual_seed(7)
    following = torch.rand(3)
    torch.manual_seed(7)
    rates, losses = run_range_test(model, TRAIN, PLAN, steps=5)
    assert torch.equal(torch.rand(3), following)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert len(rates) == len(losses) == 5
    assert rates == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2])


def test_range_test_is_the_same_each_time():
    model = make_small_network(2)
    first = run_range_test(model, TRAIN, PLAN, steps=4)
    torch.manual_seed(99)
    assert run_range_test(model, TRAIN, PLAN, steps=4) == first


def test_range_test_takes_steps_and_ends_where_the_loss_is_far_too_high():
    model = make_small_network(2)
    rates, losses = run_range_test(model, TRAIN, PLAN, 0.001, 1e9, steps=40)
    assert len(rates) < 40
    assert not losses[-1] < 3 * math.log(2)
    assert all(loss < 3 * math.log(2) for loss in losses[:-1])


def test_frozen_parameters_do_not_move_in_the_range_test(monkeypatch):
    copies = []

    def keep_copy(model):
        copies.append(copy.deepcopy(model))
        return copies[-1]

    monkeypatch.setattr("utils.rate_finder.copy", SimpleNamespace(deepcopy=keep_copy))
    model = make_small_network(2)
    model.conv.requires_grad_(False)
    run_range_test(model, TRAIN, PLAN, 0.01, 0.1, steps=4)
    assert torch.equal(copies[0].conv.weight, model.conv.weight)
    assert not torch.equal(copies[0].fc.weight, model.fc.weight)


def test_the_choice_lies_a_tenth_below_the_rise():
    rates = [10.0**power for power in range(-6, 0)]
    assert choose_rate(rates, [0.1, 0.1, 0.1, 0.1, 2.0, 9.0], classes=2) == pytest.approx(1e-3)
    assert choose_rate(rates, [0.1] * 6, classes=2) == pytest.approx(1e-2)
    # one unlucky batch on the way is no rise
    assert choose_rate(rates, [0.1, 0.5, 0.0, 0.0, 0.0, 9.0], classes=2) == pytest.approx(1e-2)


def test_smoothing_is_a_mean():
    assert smooth_losses([3.0] * 4) == pytest.approx([3.0] * 4)
    assert smooth_losses([1.0, 0.0], memory=0.5) == pytest.approx([1.0, 1 / 3])


def test_every_figure_says_in_words_what_it_shows():
    regime = {"seconds": [0.0, 2.0], "accuracy": [0.9, 0.5], "loss": [0.1, 1.5]}
    baseline = {"accuracy": 0.91, "loss": 0.2}
    drawings = {
        "30 MB": plots_finetuning.plot_memory({"all": {"a": 1e7, "b": 2e7}}, "Memory"),
        "1.0e-03": plots_finetuning.plot_range_test([1e-4, 1e-3], [1, 2], [1, 2], {"here": 1e-3}),
        "3.0e-05": plots_finetuning.plot_rates({"head": ([0, 1], [1e-5, 3e-5])}),
        "accuracy 50.0%": plots_finetuning.plot_regimes({"one": regime}, baseline, "frozen"),
        "0.5: 0.200": plots_finetuning.plot_paths({"one": ([0.5], [0.9], [0.2])}),
        "stem 0.25": plots_finetuning.plot_groups({"one": {"stem": 0.25}}, "change", "Moved"),
        "gained 3": plots_finetuning.plot_pairs({"same": 7, "gained": 3}, 10),
        "1 are longer": plots_finetuning.plot_norms([0.1, 3.0], 1.0),
    }
    for words, drawing in drawings.items():
        said = drawing.description.replace("megabytes", "MB")
        assert words in said, said
        assert drawing.save().startswith(b"\x89PNG")
