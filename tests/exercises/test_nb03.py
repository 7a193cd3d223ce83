"""Exercises of notebook 03: wrong answers with their hint, unusual right ones."""

import pytest
import torch
from PIL import Image
from solutions import judge
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

CLASS_NAMES = ["cats", "dogs"]


def freeze(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.requires_grad = False


def replace_and_freeze(model, number_of_classes):
    model.fc = nn.Linear(model.fc.in_features, number_of_classes)
    freeze(model)
    return model


def replace_only(model, number_of_classes):
    model.fc = nn.Linear(model.fc.in_features, number_of_classes)
    return model


def rename_only(model, number_of_classes):
    freeze(model)
    model.fc.out_features = number_of_classes
    model.fc.requires_grad_(True)
    return model


def freeze_and_thaw(model, number_of_classes):
    replace_and_freeze(model, number_of_classes).fc.requires_grad_(True)
    return model


def skip_the_head(model, number_of_classes):
    model.fc = nn.Linear(model.fc.in_features, number_of_classes)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("fc."))
    return model


def take_steps(model, optimizer, features, labels):
    for _ in range(60):
        loss = F.cross_entropy(model.fc(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def train_with_old_parameters(model, features, labels):
    optimizer = torch.optim.Adam(model.fc.parameters(), lr=0.01)
    torch.manual_seed(0)
    model.fc = nn.Linear(features.shape[1], 2)
    with torch.no_grad():  # so that chance is chance with every seed
        model.fc.weight.zero_()
        model.fc.bias.copy_(torch.tensor([1.0, 0.0]))
    return take_steps(model, optimizer, features, labels)


def train_the_old_head(model, features, labels):
    return take_steps(model, torch.optim.Adam(model.fc.parameters(), lr=0.01), features, labels)


def train_all_with_sgd(model, features, labels):
    model.fc = nn.Linear(features.shape[1], 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    return take_steps(model, optimizer, features, labels)


def add_the_new_parameters(model, features, labels):
    optimizer = torch.optim.Adam(model.fc.parameters(), lr=0.05)
    model.fc = nn.Linear(features.shape[1], 2)
    optimizer.add_param_group({"params": model.fc.parameters()})
    take_steps(model, optimizer, features, labels)
    return "changed in place"


def vote_by_loop(features, labels, new_features, k):
    classes = []
    for row in new_features:
        nearest = (features - row).norm(dim=1).argsort()[:k]
        classes.append(labels[nearest].bincount().argmax())
    return torch.stack(classes)


def vote_by_scikit_learn(features, labels, new_features, k):
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(k).fit(features.numpy(), labels.numpy())
    return torch.from_numpy(model.predict(new_features.numpy()))


def nearest_only(features, labels, new_features, k):
    return labels[torch.cdist(new_features, features).argmin(dim=1)]


def farthest(features, labels, new_features, k):
    return labels[torch.cdist(new_features, features).topk(k).indices].mode(dim=1).values


def list_statistics(model):
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    return torch.cat([torch.cat([n.running_mean, n.running_var]) for n in norms])


def compare_everything(before, after):
    pairs = zip(before.state_dict().values(), after.state_dict().values(), strict=True)
    return any(not torch.equal(old, new) for old, new in pairs)


def compare_buffers(before, after):
    pairs = zip(before.buffers(), after.buffers(), strict=True)
    return any(not torch.equal(old, new) for old, new in pairs)


def compare_means(before, after):
    return not torch.equal(before.body[1].running_mean, after.body[1].running_mean)


def make_classify(**changes):
    """An answer to exercise 3.5; each change is a mistake or a habit."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    steps = [v2.Resize(64), v2.CenterCrop(56), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    transform = v2.Compose(steps)

    def classify(file):
        image = Image.open(file)
        image = transform(image if changes.get("channels") else image.convert("RGB"))
        if changes.get("random"):
            image = image * 20 * torch.rand(1)
        model.eval()
        probabilities = model(image[None]).softmax(dim=1)[0]
        label = probabilities.argmax().item()
        name = label if changes.get("number") else CLASS_NAMES[label]
        return changes.get("form", tuple)([name, probabilities[label] * changes.get("times", 1)])

    return classify


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("3.1", freeze_and_thaw),
        ("3.1", skip_the_head),
        ("3.1", lambda model, n: (skip_the_head(model, n), "in place")[1]),
        ("3.2", train_all_with_sgd),
        ("3.2", add_the_new_parameters),
        ("3.3", vote_by_loop),
        ("3.3", vote_by_scikit_learn),
        ("3.4", lambda a, b: (list_statistics(a) != list_statistics(b)).any()),
        ("3.4", lambda a, b: int((list_statistics(a) - list_statistics(b)).abs().sum() > 0)),
        ("3.5", make_classify()),
        ("3.5", make_classify(form=list)),
    ],
)
def test_unusual_right_answers(number: str, answer) -> None:
    assert judge(number, answer).endswith("✔ right.")


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("3.1", replace_and_freeze, "cannot learn"),
        ("3.1", replace_only, "not frozen"),
        ("3.1", rename_only, "one output per class"),
        ("3.2", train_with_old_parameters, "50% of its own"),
        ("3.2", train_the_old_head, "old head"),
        ("3.3", nearest_only, "count votes"),
        ("3.3", farthest, "must get these classes"),
        ("3.3", lambda f, y, new, k: [0, 1, 2], "one class number"),
        ("3.4", lambda a, b: True, "equal copies"),
        ("3.4", lambda a, b: False, "does not see it"),
        ("3.4", compare_means, "variance"),
        ("3.4", compare_everything, "Trained weights"),
        ("3.4", compare_buffers, "counter"),
        ("3.5", make_classify(random=True), "second time"),
        ("3.5", make_classify(times=100), "between 0 and 1"),
        ("3.5", make_classify(number=True), "name of a class"),
        ("3.5", lambda file: "cats", "two things"),
    ],
)
def test_wrong_answers_get_their_hint(number: str, answer, hint: str) -> None:
    printed = judge(number, answer)
    assert "✘ not yet" in printed and hint in printed


def test_a_file_with_transparent_pixels_stops_who_forgets_them() -> None:
    assert "stops with" in judge("3.5", make_classify(channels=True))
