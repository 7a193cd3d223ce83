"""Exercises of notebook 04: wrong answers with their hint, unusual right ones."""

import pytest
import torch
from scipy.stats import binomtest
from solutions import judge
from torch import nn

from utils.claims import find_p_value
from utils.exercises.nb04 import make_frozen_network


def optimizer_first(model):
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.requires_grad_(True)
    return optimizer


def head_only(model):
    return torch.optim.Adam(model.fc.parameters())


def never_unfrozen(model):
    return torch.optim.Adam(model.parameters())


def body_only(model):
    model.requires_grad_(True)
    return torch.optim.Adam(model.body.parameters())


def groups_for_optimizer(model):
    model.requires_grad_(True)
    return [{"params": list(model.parameters()), "lr": 0.1}]


def without_batch_norm(model):
    for layer in model.body:
        layer.requires_grad_(not isinstance(layer, nn.BatchNorm2d))
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)


def add_group_later(model):
    optimizer = torch.optim.AdamW(model.fc.parameters(), lr=0.1)
    model.body.requires_grad_(True)
    optimizer.add_param_group({"params": model.body.parameters(), "lr": 0.01})
    return optimizer


def give_all_first(model):
    optimizer = torch.optim.Adam(model.parameters())
    for parameter in model.parameters():
        parameter.requires_grad_()
    return optimizer


def set_attribute(model):
    model.requires_grad = True


def call_train(model):
    model.train()


def weights_only(model):
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            parameter.requires_grad = True


def start_again(model):
    for parameter in model.parameters():
        parameter.requires_grad = True
        nn.init.normal_(parameter)


def by_method(model):
    return model.requires_grad_(True)


def by_layer(model):
    for layer in model.children():
        layer.requires_grad_()


def by_state(model):
    for name, _ in list(model.named_parameters()):
        model.get_parameter(name).requires_grad = True
    model.requires_grad = True  # besides


def frozen_as_well(model):
    rest = [p for n, p in model.named_parameters() if not n.startswith("fc.")]
    return [{"params": model.fc.parameters(), "lr": 1e-3}, {"params": rest, "lr": 1e-4}]


def one_rate(model):
    return [{"params": [p for p in model.parameters() if p.requires_grad], "lr": 1e-3}]


def no_head(model):
    rest = [p for n, p in model.named_parameters() if "fc" not in n and p.requires_grad]
    return [{"params": rest, "lr": 1e-4}]


def body_by_name(model):
    return [
        {"params": model.fc.parameters(), "lr": 1e-3},
        {"params": model.body.parameters(), "lr": 1e-4},
    ]


def one_group_each(model):
    return [
        {"params": [p], "lr": 1e-3 if n.split(".")[0] == "fc" else 1e-4}
        for n, p in model.named_parameters()
        if p.requires_grad
    ]


def by_identity(model):
    head = {id(p) for p in model.fc.parameters()}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in head]
    return ({"lr": 0.0001, "params": rest}, {"lr": 1e-3, "params": model.fc.parameters()})


def more_right(frozen, unfrozen):
    return unfrozen.sum() > frozen.sum()


def only_p(frozen, unfrozen):
    return find_p_value(int((unfrozen & ~frozen).sum()), int((frozen & ~unfrozen).sum())) < 0.05


def always(frozen, unfrozen):
    return True


def never(frozen, unfrozen):
    return False


def with_scipy(frozen, unfrozen):
    changed = frozen != unfrozen
    total, gained = changed.sum().item(), (changed & unfrozen).sum().item()
    if total == 0:
        return False
    return binomtest(gained, total).pvalue < 0.05 and gained / total > 0.5


def as_a_tensor(frozen, unfrozen):
    gained, lost = (~frozen & unfrozen).sum(), (frozen & ~unfrozen).sum()
    return (gained > lost) & torch.tensor(find_p_value(int(gained), int(lost)) <= 0.05)


def one_sided(frozen, unfrozen):
    changed = frozen != unfrozen
    gained = int((changed & unfrozen).sum())
    if not changed.any():
        return False
    return binomtest(gained, int(changed.sum()), alternative="greater").pvalue < 0.025


WRONG = {
    "4.1": {
        optimizer_first: "the optimizer was not given it",
        head_only: "still frozen",
        never_unfrozen: "still frozen",
        body_only: "fc.weight gets a gradient and does not move",
        groups_for_optimizer: "An optimizer is asked for",
        without_batch_norm: "still frozen",
    },
    "4.2": {
        set_attribute: "have not heard of it",
        call_train: "still frozen",
        weights_only: "Some learn now, but body.0.bias",
        start_again: "weights have changed",
    },
    "4.3": {
        frozen_as_well: "leave out what does not learn",
        one_rate: "A parameter of the body has the rate 0.001",
        no_head: "A parameter of the fc is in no group",
        body_by_name: "With the stem unfrozen",
    },
    "4.4": {
        more_right: "With 5 gained and 0 lost, p is 0.062: that is not enough",
        only_p: "it is the frozen network that is better",
        always: "not enough",
        never: "With 6 gained and 0 lost, p is 0.031: that is enough",
    },
}
RIGHT = {
    "4.1": [add_group_later, give_all_first],
    "4.2": [by_method, by_layer, by_state],
    "4.3": [one_group_each, by_identity],
    "4.4": [with_scipy, as_a_tensor, one_sided],
}


@pytest.mark.parametrize(
    ("number", "answer"), [(n, answer) for n, answers in WRONG.items() for answer in answers]
)
def test_a_wrong_answer_gets_its_hint(number, answer) -> None:
    output = judge(number, answer)
    assert "✘ not yet" in output and WRONG[number][answer] in output


@pytest.mark.parametrize(
    ("number", "answer"), [(n, answer) for n, answers in RIGHT.items() for answer in answers]
)
def test_an_unusual_right_answer_is_right(number, answer) -> None:
    assert "✔ right" in judge(number, answer)


def test_the_network_of_the_exercises_is_frozen_below_its_head() -> None:
    network = make_frozen_network()
    learns = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learns == {"fc.weight", "fc.bias"}
