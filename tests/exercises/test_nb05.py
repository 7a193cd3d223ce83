"""Exercises of notebook 05: wrong answers with their hint, unusual right ones."""

import numpy as np
import pytest
import torch
from solutions import judge


def compute(model, layers, image, target, combine, remove=True):
    outputs = []
    hooks = [
        layer.register_forward_hook(lambda *call: outputs.append(call[-1])) for layer in layers
    ]
    logits = model(image.clone().requires_grad_())
    for hook in hooks if remove else ():
        hook.remove()
    return [combine(logits[0, target], output) for output in outputs]


def weigh(logit, output):
    (gradient,) = torch.autograd.grad(logit, output, retain_graph=True)
    return (gradient.mean(dim=(2, 3), keepdim=True) * output).sum(dim=1)


def multiply(logit, output):
    (gradient,) = torch.autograd.grad(logit, output, retain_graph=True)
    return (gradient * output).sum(dim=1)


def sort_from_below(scores, is_dog, precision):
    for threshold in scores.sort().values:
        if is_dog[scores >= threshold].float().mean() >= precision:
            return threshold


def first_below(scores, is_dog, precision):
    ordered = scores.sort(descending=True)
    dogs = is_dog[ordered.indices].cumsum(dim=0)
    first = (dogs / torch.arange(1, len(scores) + 1) < precision).nonzero().min()
    return ordered.values[max(0, first - 1)]


def softmax_by_hand(model, images):
    model.train(False)
    with torch.inference_mode():
        powers = model(images).exp()
    return powers / powers.sum(dim=1, keepdim=True)


def swap_by_index(labels, first, second):
    rows = np.arange(len(labels))
    rows[[first, second]] = second, first
    return labels[rows]


def swap_in_place(labels, first, second):
    labels[[first, second]] = labels[[second, first]]
    return labels


def swap_and_lose(labels, first, second):
    labels = labels.copy()
    labels[first] = labels[second]
    labels[second] = labels[first]
    return labels


def pick_correct(probabilities, labels):
    return probabilities.gather(1, labels[:, None])[:, 0]


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("5.1", lambda m, ls, i, t: compute(m, ls, i, t, weigh)),  # each [1, height, width]
        ("5.1", lambda m, ls, i, t: [c.relu() for c in compute(m, ls, i, t, weigh)]),
        ("5.2", softmax_by_hand),
        ("5.3", sort_from_below),
        ("5.4", lambda p, y, n: pick_correct(p, y).topk(n, largest=False).indices),
        ("5.4", lambda p, y, n: np.argsort(pick_correct(p, y).numpy())[:n]),
        ("5.5", swap_by_index),
        ("5.5", lambda y, a, b: swap_in_place(y.copy(), a, b).tolist()),
    ],
)
def test_unusual_right_answers(number: str, answer) -> None:
    assert judge(number, answer).endswith("✔ right.")


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("5.1", lambda m, ls, i, t: compute(m, ls, i, t, multiply), "one weight"),
        ("5.1", lambda m, ls, i, t: compute(m, ls, i, t, lambda _, o: o.sum(dim=1)), "Weight the"),
        ("5.1", lambda m, ls, i, t: compute(m, ls, i, 1, weigh), "whose gradient"),
        ("5.1", lambda m, ls, i, t: compute(m, ls, i, t, weigh)[:1], "not 1"),
        ("5.1", lambda m, ls, i, t: compute(m, ls, i, t, weigh, remove=False), "remove()"),
        ("5.2", lambda m, x: m.eval()(x).softmax(dim=1), "without gradients"),
        ("5.2", lambda m, x: m.eval()(x).detach(), "logits"),
        ("5.2", lambda m, x: m.eval()(x).softmax(dim=0).detach(), "each should be 1"),
        ("5.2", lambda m, x: m.train()(x).softmax(dim=1).detach(), "eval mode"),
        ("5.2", lambda m, x: m.eval()(x).softmax(dim=1).detach().argmax(dim=1), "not (6,)"),
        ("5.3", first_below, "not fall steadily"),
        ("5.3", lambda s, d, p: 0.5, "are dogs"),
        ("5.3", lambda s, d, p: 2, "never opens"),
        ("5.4", lambda p, y, n: p.max(dim=1).values.argsort()[:n], "confident mistake"),
        ("5.4", lambda p, y, n: pick_correct(p, y).argsort(descending=True)[:n], "easiest"),
        ("5.4", lambda p, y, n: pick_correct(p, y).argsort(), "`count`"),
        ("5.4", lambda p, y, n: pick_correct(p, y).argsort()[:4], "`count`"),
        ("5.5", swap_in_place, "a copy"),
        ("5.5", swap_and_lose, "One label is lost"),
        ("5.5", lambda y, a, b: y[[a, b]], "All 5"),
    ],
)
def test_wrong_answers_get_their_hint(number: str, answer, hint: str) -> None:
    said = judge(number, answer)
    assert "✘ not yet" in said and hint in said
