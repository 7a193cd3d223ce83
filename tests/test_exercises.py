"""Every exercise of every notebook: untouched, solved as the fold says, and wrong as usual."""

import ast
import math
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DistributedSampler

from utils import exercises
from utils.models import freeze
from utils.settings import ROOT

SOLUTION = re.compile(
    r"<details>\s*<summary>Solution</summary>\s*```python\n(.*?)```\s*</details>", re.DOTALL
)
SUBJECTS = ("dogs", "digits", "X-rays")


def find_call(source: str) -> tuple[str, str] | None:
    """Number and answer expression of the cell's `exercises.check(…)`."""
    if "exercises.check(" not in source:
        return None
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "exercises.check":
            number, expression = node.args
            return number.value, ast.unparse(expression)
    return None


def collect_exercises(path: Path) -> list[tuple[str, str, str, list[str]]]:
    """Number, answer expression, the cell as it is given, and the solutions that follow it."""
    cells = nbformat.read(path, 4).cells
    found = []
    for index, cell in enumerate(cells):
        call = find_call(cell.source) if cell.cell_type == "code" else None
        if call:
            after = cells[index + 1] if index + 1 < len(cells) else None
            is_text = after is not None and after.cell_type == "markdown"
            solutions = SOLUTION.findall(after.source) if is_text else []
            found.append((*call, cell.source, solutions))
    return found


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXERCISES = {found[0]: found for path in NOTEBOOKS for found in collect_exercises(path)}
NUMBERS = list(EXERCISES)


def make_namespace() -> dict:
    names = {"np": np, "torch": torch, "nn": nn, "F": F, "math": math, "freeze": freeze,
             "DistributedSampler": DistributedSampler}  # fmt: skip
    return {**names, "exercises": exercises}


def drift_of_everything(before: nn.Module, after: nn.Module) -> bool:
    pairs = zip(before.state_dict().values(), after.state_dict().values(), strict=True)
    return any(not torch.equal(old, new) for old, new in pairs)


def freeze_after_replacing(model: nn.Module, number_of_classes: int) -> nn.Module:
    model.fc = nn.Linear(model.fc.in_features, number_of_classes)
    freeze(model)
    return model


def replace_without_freezing(model: nn.Module, number_of_classes: int) -> nn.Module:
    model.fc = nn.Linear(model.fc.in_features, number_of_classes)
    return model


def describe_head(model: nn.Module, number_of_classes: int) -> nn.Module:
    freeze(model)
    model.fc.out_features = number_of_classes
    model.fc.requires_grad_(True)
    return model


def mean_of_batch_means(batches) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = [(images.mean(dim=(0, 2, 3)), images.std(dim=(0, 2, 3))) for images in batches]
    return tuple(torch.stack(numbers).mean(dim=0) for numbers in zip(*pairs, strict=True))


def mean_of_batch_deviations(batches) -> tuple[torch.Tensor, torch.Tensor]:
    batches = list(batches)
    mean = torch.cat(batches).mean(dim=(0, 2, 3))
    return mean, torch.stack([batch.std(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)


def mean_of_batch_accuracies(batches) -> float:
    return sum((x.argmax(1) == y).float().mean().item() for x, y in batches) / len(batches)


def classify_by_nearest(features, labels, new_features, k: int) -> torch.Tensor:
    return labels[torch.cdist(new_features, features).argmin(dim=1)]


def classify_by_farthest(features, labels, new_features, k: int) -> torch.Tensor:
    return labels[torch.cdist(new_features, features).topk(k).indices].mode(dim=1).values


def train_two(features: torch.Tensor, labels: torch.Tensor) -> nn.Linear:
    head = nn.Linear(features.shape[1], 2)
    F.cross_entropy(head(features), labels.clamp(max=1)).backward()
    return head


def train_without_optimizer(features: torch.Tensor, labels: torch.Tensor) -> nn.Linear:
    head = nn.Linear(features.shape[1], 3)
    for _ in range(200):
        F.cross_entropy(head(features), labels).backward()
    return head


def train_uphill(features: torch.Tensor, labels: torch.Tensor) -> nn.Linear:
    head = nn.Linear(features.shape[1], 3)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        (-F.cross_entropy(head(features), labels)).backward()
        optimizer.step()
    return head


def fall_without_warm_up(step: int, steps: int, warm_up: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / (steps - 1)))


def rise_from_zero(step: int, steps: int, warm_up: int) -> float:
    if step < warm_up:
        return step / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - 1 - warm_up)))


def split_by_dimensions(model: nn.Module, large: float, small: float | None) -> list[dict]:
    groups = [{"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": large},
              {"params": [p for p in model.parameters() if p.ndim == 1]}]  # fmt: skip
    if small is not None:
        groups[1]["weight_decay"] = small
    return groups


def error_of_all_bins_alike(confidence: torch.Tensor, correct: torch.Tensor) -> float:
    gaps = []
    for low in torch.arange(10) / 10:
        inside = (confidence > low) & (confidence <= low + 0.1)
        if inside.any():
            gaps.append((correct[inside].float().mean() - confidence[inside].mean()).abs())
    return torch.stack(gaps).mean().item()


def error_where_gaps_cancel(confidence: torch.Tensor, correct: torch.Tensor) -> float:
    return abs((confidence - correct.float()).mean().item())


def error_with_empty_bins(confidence: torch.Tensor, correct: torch.Tensor) -> float:
    error = 0.0
    for low in torch.arange(10) / 10:
        inside = (confidence > low) & (confidence <= low + 0.1)
        gap = (correct[inside].float().mean() - confidence[inside].mean()).abs()
        error += gap.item() * inside.float().mean().item()
    return error


def error_in_two_bins(confidence: torch.Tensor, correct: torch.Tensor) -> float:
    """Right for the two bins of the example, and for no others."""
    error = 0.0
    for low in (0.0, 0.75):
        inside = (confidence > low) & (confidence <= low + 0.75)
        gap = (correct[inside].float().mean() - confidence[inside].mean()).abs()
        error += gap.item() * inside.float().mean().item()
    return error


def stop_at_first_failure(scores, is_dog, precision: float) -> float:
    ordered = scores.sort(descending=True)
    dogs = is_dog[ordered.indices].cumsum(dim=0)
    enough = dogs / torch.arange(1, len(scores) + 1) >= precision
    last = int((~enough).nonzero().min()) - 1
    return ordered.values[last].item()


def threshold_by_recall(scores, is_dog, precision: float) -> float:
    return scores[is_dog].quantile(1 - precision).item()


def find_map(model, layer, image, target, relu=True, pooled=True, weighted=True) -> torch.Tensor:
    caught = []
    handle = layer.register_forward_hook(lambda layer, inputs, output: caught.append(output))
    logits = model(image)
    handle.remove()
    (slopes,) = torch.autograd.grad(logits[0, target], caught[0])
    if pooled:
        slopes = slopes.mean(dim=(2, 3), keepdim=True)
    heat = ((slopes if weighted else 1) * caught[0]).sum(dim=1)[0].detach()
    return heat.clamp(min=0) if relu else heat


def find_map_and_leave_the_hook(model, layer, image, target: int) -> torch.Tensor:
    layer.register_forward_hook(lambda layer, inputs, output: None)
    return find_map(model, layer, image, target)


def predict_without_dropout_only(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return model(images).softmax(dim=1).detach()


def predict_with_norm_frozen_only(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        return model(images).softmax(dim=1)


WRONG_ANSWERS = {
    "1.1": [
        lambda images, mean, std: images * std.view(3, 1, 1) - mean.view(3, 1, 1),
        lambda images, mean, std: (images + mean.view(3, 1, 1)) * std.view(3, 1, 1),
        lambda images, mean, std: images * std + mean,  # (N, 3, H, W) does not meet (3,)
        lambda images, mean, std: images,
    ],
    "1.2": [mean_of_batch_means, mean_of_batch_deviations, lambda batches: 0.5],
    "1.3": [
        lambda images, part, random_view, center_view: random_view(images),
        lambda images, part, random_view, center_view: center_view(images),
        lambda images, part, random_view, center_view: (
            center_view(images) if part == "test" else random_view(images)
        ),
        lambda images, part, random_view, center_view: (
            center_view(images) if part == "validation" else random_view(images)
        ),
    ],
    "1.4": [
        lambda images: ((images.float() / 255 - 0.5) / 0.5 - 0.5) / 0.5,
        lambda images: (images.float() - 0.5) / 0.5,
        lambda images: images.float() / 255,
    ],
    "1.5": [
        dict.fromkeys(SUBJECTS, {"flip left-right", "rotate 10°", "brightness", "small crop"}),
        dict.fromkeys(SUBJECTS, set()),
        {"dogs": {"flip left-right", "rotate 10°", "brightness", "small crop"}},
        dict.fromkeys(SUBJECTS, {"no such transform"}),
        None,
    ],
    "2.1": [
        lambda side, kernel_size, stride, padding: side - kernel_size + 1,
        lambda side, kernel_size, stride, padding: (side + padding - kernel_size) // stride + 1,
        lambda side, kernel_size, stride, padding: (side + 2 * padding - kernel_size + 1) // stride,
        lambda side, kernel_size, stride, padding: (side + 2 * padding - kernel_size) / stride + 1,
    ],
    "2.2": [
        lambda hidden, training: F.dropout(hidden, 0.2),  # the article's
        lambda hidden, training: F.dropout(hidden, 0.5, training),
        lambda hidden, training: hidden,
        lambda hidden, training: F.dropout(hidden, 0.2, not training),
        lambda hidden, training: hidden * (torch.rand(hidden.shape) > 0.2) if training else hidden,
    ],
    "2.3": [11_169_218, 110_018 - 2, 109_664, 0],
    "2.4": [
        lambda inputs, outputs: nn.Sequential(
            nn.Conv2d(inputs, outputs, 3), nn.ReLU(), nn.MaxPool2d(2)
        ),
        lambda inputs, outputs: nn.Sequential(  # batch norm after ReLU
            nn.Conv2d(inputs, outputs, 3), nn.ReLU(), nn.BatchNorm2d(outputs), nn.MaxPool2d(2)
        ),
        lambda inputs, outputs: nn.Sequential(
            nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3), nn.ReLU(), nn.MaxPool2d(2)
        ),
        lambda inputs, outputs: nn.Sequential(  # for the channels that come in
            nn.Conv2d(inputs, outputs, 3), nn.BatchNorm2d(inputs), nn.ReLU(), nn.MaxPool2d(2)
        ),
        lambda inputs, outputs: nn.Sequential(
            nn.Conv2d(inputs, outputs, 3), nn.BatchNorm2d(outputs), nn.MaxPool2d(2)
        ),
        lambda inputs, outputs: nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ),
        lambda inputs, outputs: nn.BatchNorm2d(outputs),
    ],
    "2.5": [mean_of_batch_accuracies, lambda batches: 1.0, lambda batches: batches[9]],
    "2.6": [
        lambda seconds, pictures, epochs: seconds / pictures * 23_000 * epochs,  # seconds
        lambda seconds, pictures, epochs: seconds / pictures * 23_000 / 60,  # one epoch
        lambda seconds, pictures, epochs: seconds * epochs / 60,  # no more pictures
        lambda seconds, pictures, epochs: seconds * pictures / 23_000 * epochs / 60,
        lambda seconds, pictures, epochs: seconds / pictures * 23_000 * epochs / 3600,
    ],
    "3.1": [freeze_after_replacing, replace_without_freezing, describe_head],
    "3.2": [
        lambda model: model.fc.out_features,
        lambda model: model.fc.in_features,
        lambda model: model(torch.zeros(1, 3, 64, 64)).shape[0],
    ],
    "3.3": [
        drift_of_everything,
        lambda before, after: False,
        lambda before, after: True,
        lambda before, after: before is not after,
    ],
    "3.4": [
        classify_by_farthest,
        lambda features, labels, new, k: labels,
        lambda features, labels, new, k: torch.zeros(len(new), dtype=torch.int64),
    ],
    "3.5": [
        lambda model, images: model(images),
        lambda model, images: model(images.flip(-1)),
        lambda model, images: model(images) + model(images.flip(-1)),
        lambda model, images: (model(images) + model(images.flip(-2))) / 2,
        lambda model, images: (model(images).softmax(1) + model(images.flip(-1)).softmax(1)) / 2,
        lambda model, images: model((images + images.flip(-1)) / 2)[0],
    ],
    "3.6": [
        lambda features, labels: nn.Linear(features.shape[1], 3),
        lambda features, labels: features,
        train_two,
        train_without_optimizer,
        train_uphill,
    ],
    "4.1": [
        lambda model: [{"params": list(model.parameters()), "lr": 1e-3}],
        lambda model: [{"params": list(model.head.parameters()), "lr": 1e-3}],
        lambda model: [
            {"params": list(getattr(model, name).parameters()), "lr": rate}
            for name, rate in (("stem", 1e-3), ("body", 1e-4), ("head", 1e-5))
        ],
        lambda model: [
            {"params": [getattr(model, name).weight], "lr": rate}  # and the biases?
            for name, rate in (("stem", 1e-5), ("body", 1e-4), ("head", 1e-3))
        ],
    ],
    "4.2": [
        fall_without_warm_up,
        rise_from_zero,
        lambda step, steps, warm_up: 1.0,
        lambda step, steps, warm_up: min(1, (step + 1) / warm_up) * (1 - step / (steps - 1)),
    ],
    "4.3": [
        lambda model, optimizer: [],
        lambda model, optimizer: [name for name, _ in model.named_parameters()],
        lambda model, optimizer: [n for n, p in model.named_parameters() if p.requires_grad],
        lambda model, optimizer: [n for n, p in model.named_parameters() if not p.requires_grad],
    ],
    "4.4": [
        lambda model: [{"params": list(model.parameters()), "weight_decay": 0.01}],
        lambda model: [{"params": list(model.parameters()), "weight_decay": 0.0}],
        lambda model: split_by_dimensions(model, 0.0, 0.01),  # the other way round
        lambda model: split_by_dimensions(model, 0.01, None),  # the optimiser's own default
        lambda model: split_by_dimensions(model, 0.01, 0.0)[:1],  # batch norm in no group
        lambda model: [  # by name: finds the norm, forgets the biases
            {"params": list(model.norm.parameters()), "weight_decay": 0.0},
            {"params": [*model.conv.parameters(), *model.fc.parameters()], "weight_decay": 0.01},
        ],
    ],
    "4.5": [
        dict.fromkeys((200, 2_000, 20_000), ("gentle", "enough of both")),
        dict.fromkeys((200, 2_000, 20_000), ("head", "by heart")),
        dict.fromkeys((200, 2_000, 20_000), ("large steps", "enough of both")),
        {200: ("head", "enough of both")},
        {
            200: ("head", "by heart"),
            2_000: ("gentle", "validation decides"),
            20_000: ("large steps", "enough of both"),
        },
        {200: ("head", "by heart")},
    ],
    "5.1": [
        error_of_all_bins_alike,
        error_where_gaps_cancel,
        error_with_empty_bins,
        error_in_two_bins,
        lambda confidence, correct: (confidence - correct.float()).abs().mean().item(),
        lambda confidence, correct: 0.25,
    ],
    "5.2": [
        stop_at_first_failure,
        threshold_by_recall,
        lambda scores, is_dog, precision: precision,
        lambda scores, is_dog, precision: scores[is_dog].min().item(),
        lambda scores, is_dog, precision: scores.max().item(),
        lambda scores, is_dog, precision: 2.0,
    ],
    "5.3": [
        lambda model, layer, image, target: find_map(model, layer, image, target, relu=False),
        lambda model, layer, image, target: find_map(model, layer, image, target, pooled=False),
        lambda model, layer, image, target: find_map(model, layer, image, target, weighted=False),
        lambda model, layer, image, target: find_map(model, layer, image, 1),
        lambda model, layer, image, target: layer(image).detach(),
        find_map_and_leave_the_hook,
    ],
    "5.4": [
        lambda model, images: model(images).softmax(dim=1),
        lambda model, images: model.train(False)(images).softmax(dim=1),
        lambda model, images: model.eval()(images).detach(),
        predict_without_dropout_only,
        predict_with_norm_frozen_only,
    ],
    "5.5": [
        lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1).float() / 255,
        lambda pixels: torch.from_numpy(pixels[::-1].copy()).permute(2, 0, 1).float() / 255,
        lambda pixels: torch.from_numpy(pixels[:, ::-1].copy()).permute(2, 0, 1).float() / 255,
        lambda pixels: torch.from_numpy(pixels[..., ::-1]).permute(2, 0, 1).float() / 255,
        lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1).flip(0).float(),
        lambda pixels: torch.from_numpy(pixels).flip(2).float() / 255,
        lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1).flip(0, 1).float() / 255,
    ],
    "6.1": [
        lambda order, rank, size: order,
        lambda order, rank, size: order[rank : rank + len(order) // size],
        lambda order, rank, size: list(DistributedSampler(order, size, rank, shuffle=False)),
        lambda order, rank, size: order[rank::size][: len(order) // size],
        lambda order, rank, size: order if rank == 0 else [],
    ],
    "6.2": [
        lambda count, rank, size, epochs: [
            list(DistributedSampler(range(count), size, rank)) for _ in range(epochs)
        ],
        lambda count, rank, size, epochs: [torch.randperm(count).tolist() for _ in range(epochs)],
        lambda count, rank, size, epochs: list(DistributedSampler(range(count), size, rank)),
        lambda count, rank, size, epochs: [
            list(DistributedSampler(range(count), size, rank, seed=epoch + rank))
            for epoch in range(epochs)
        ],
    ],
    "6.3": [
        lambda correct, seen: sum(c / s for c, s in zip(correct, seen, strict=True)) / len(seen),
        lambda correct, seen: sum(correct) / len(seen),
        lambda correct, seen: max(correct) / max(seen),
    ],
    "6.4": [
        lambda step, warm_up: 0.1,
        lambda step, warm_up: 0.8,
        lambda step, warm_up: 0.8 * min(1.0, step / warm_up),
        lambda step, warm_up: 0.1 + 0.7 * step / warm_up,
        lambda step, warm_up: 0.1 + (0.1 * 8**0.5 - 0.1) * min(1.0, step / warm_up),
    ],
}


def test_every_notebook_has_exercises():
    assert NOTEBOOKS and all(collect_exercises(path) for path in NOTEBOOKS if path.stem >= "01")
    assert sum(len(collect_exercises(path)) for path in NOTEBOOKS) == len(EXERCISES)
    assert sorted(EXERCISES) == sorted(WRONG_ANSWERS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_numbers_count_up_within_the_notebook(path):
    numbers = [found[0] for found in collect_exercises(path)]
    assert numbers == [f"{int(path.stem[:2])}.{place + 1}" for place in range(len(numbers))]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_solution_follows_its_exercise(path):
    text = "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")
    found = collect_exercises(path)
    assert [len(solutions) for *_, solutions in found] == [1] * len(found)
    assert text.count("<summary>Solution</summary>") == len(found)


@pytest.mark.parametrize("number", NUMBERS)
def test_untouched_cell_was_not_tried(number, capsys):
    _, _, source, _ = EXERCISES[number]
    exec(source, make_namespace())
    printed = capsys.readouterr().out
    assert printed.startswith(f"Exercise {number}:")
    assert "not tried yet" in printed


@pytest.mark.parametrize("number", NUMBERS)
def test_solution_is_right(number, capsys):
    _, expression, _, solutions = EXERCISES[number]
    namespace = make_namespace()
    exec(solutions[0], namespace)
    exercises.check(number, eval(expression, namespace))
    assert capsys.readouterr().out == f"Exercise {number}: ✔ right.\n"


@pytest.mark.parametrize(
    ("number", "place"),
    [(number, place) for number, wrong in WRONG_ANSWERS.items() for place in range(len(wrong))],
)
def test_wrong_answer_gets_a_hint(number, place, capsys):
    torch.manual_seed(0)
    exercises.check(number, WRONG_ANSWERS[number][place])
    printed = capsys.readouterr().out
    assert printed.startswith(f"Exercise {number}: ✘") and "✔" not in printed
    assert len(printed) > 30  # a sentence, not a cross alone


def test_votes_must_be_counted(capsys):
    exercises.check("3.4", classify_by_nearest)
    assert "✘" in capsys.readouterr().out


@pytest.mark.parametrize("number", NUMBERS)
def test_nothing_stops_the_notebook(number, capsys):
    def fail(*arguments):
        raise ZeroDivisionError("in the learner's code")

    for answer in (fail, lambda *arguments: "nonsense", "nonsense", 3.5, [], object()):
        exercises.check(number, answer)
        assert "✘" in capsys.readouterr().out


def test_right_number_is_what_pytorch_counts():
    """2.3: the network with global average pooling, really built."""
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.Conv2d(32, 64, 3), nn.Conv2d(64, 128, 3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 128), nn.Linear(128, 2),
    )  # fmt: skip
    right = sum(parameter.numel() for parameter in model.parameters())
    assert exercises.import_module("utils.exercises_02").check_2_3(right) is None
