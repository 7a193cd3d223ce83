"""Finished runs: saved, found again, and compared with intervals."""

from collections.abc import Sized
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from utils import files
from utils.claims import find_interval
from utils.data import Loaders, fingerprint, make_loaders
from utils.download.sources import find_source
from utils.models import CustomCNN, count_parameters, load_backbone
from utils.settings import CourseError, Settings
from utils.training import History, load_tensors


class RunStyle(NamedTuple):
    """How a run is called and drawn, in every table and figure of the course."""

    label: str
    colour: str
    marker: str


RUNS = {  # in the order of the course; colours of Okabe and Ito (2008)
    "custom_cnn": RunStyle("custom CNN", "#E69F00", "s"),
    "frozen": RunStyle("frozen backbone", "#0072B2", "o"),
    "unfrozen": RunStyle("unfrozen", "#009E73", "^"),
    "distributed": RunStyle("two processes", "#CC79A7", "D"),
}


@dataclass(frozen=True)
class Run:
    """One training that was finished and tested once."""

    run: str
    dataset: str
    backbone: str
    correct: int  # of n_test
    n_test: int
    n_train: int
    epochs: int
    seconds: float  # of training
    trainable_parameters: int
    validation_accuracy: float
    images: str  # fingerprint of the training images
    history: History = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)  # in the order of the logits

    @property
    def test_accuracy(self) -> float:
        return self.correct / self.n_test

    @property
    def interval(self) -> tuple[float, float]:
        return find_interval(self.correct, self.n_test)


def find_folder(settings: Settings, name: str) -> Path:
    """Where a run of this dataset and backbone lives, with its checkpoint."""
    dataset = find_source(settings).name
    return settings.home / "runs" / f"{dataset}-{settings.backbone}" / name


def save_run(
    settings: Settings,
    name: str,
    model: nn.Module,
    history: History,
    test: tuple[torch.Tensor, torch.Tensor],
    loaders: Loaders,
) -> Run:
    """Save weights, test answers and figures of a finished run, replacing an earlier one.

    `test` are logits and labels of the test set. Of a network whose `fc` alone has learned, the
    `fc` alone is saved: the rest comes with the backbone.
    """
    logits, labels = test
    assert isinstance(loaders.train.dataset, Sized)
    run = Run(
        run=name,
        dataset=find_source(settings).name,
        backbone=settings.backbone,
        correct=int((logits.argmax(dim=1) == labels).sum()),
        n_test=len(labels),
        n_train=len(loaders.train.dataset),
        epochs=len(history["seconds"]),
        seconds=sum(history["seconds"]),
        trainable_parameters=count_parameters(model)[0],
        validation_accuracy=history["validation_accuracy"][-1],
        images=fingerprint(loaders.train.dataset),
        history=history,
        classes=list(loaders.class_names),
    )
    learned = {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    only_head = learned == {"fc.weight", "fc.bias"}
    state = {
        key: value.cpu()
        for key, value in model.state_dict().items()
        if key in learned or not only_head
    }
    folder = find_folder(settings, name)
    # First, since a run counts from the moment its description is there: while the files of two
    # runs lie side by side there is none.
    with files.explain_write_errors(folder):
        (folder / "run.json").unlink(missing_ok=True)
    files.write_atomically(folder / "weights.pt", lambda file: torch.save(state, file))
    given, true = logits.numpy(), labels.numpy()
    files.write_atomically(
        folder / "test.npz", lambda file: np.savez(file, logits=given, labels=true)
    )
    files.write_json(folder / "run.json", asdict(run))
    return run


def find_run(settings: Settings, name: str, loaders: Loaders | None = None) -> Run | None:
    """The saved run; None where there is none or, with `loaders`, it had other training images.

    A run with a damaged file counts as none: a line says so, and it is made again.
    """
    return read_run(find_folder(settings, name), loaders)


def read_run(folder: Path, loaders: Loaders | None = None) -> Run | None:
    """The run in a folder, as `find_run` finds it by its name."""
    try:
        run = Run(**files.read_json(folder / "run.json"))
    except TypeError:  # no description, or not of a run
        return None
    if loaders is not None and run.images != fingerprint(loaders.train.dataset):
        return None
    for file in (folder / "weights.pt", folder / "test.npz"):
        if not files.is_whole(file):
            files.put_aside(folder / "run.json", "damaged")
            print(f"The run {folder.name} has a damaged file, {file}: it counts as not made yet.")
            return None
    return run


def load_run(settings: Settings, name: str) -> nn.Module:
    """The network of a saved run, in eval mode on the CPU. Raises CourseError without one."""
    run = find_run(settings, name)
    if run is None:
        there = [other for other in RUNS if find_run(settings, other)]
        raise CourseError(
            f"There is no run {name!r} for the dataset {settings.data} with the backbone "
            f"{settings.backbone}; there is {' and '.join(there) or 'none at all'}: run the "
            "notebook that makes it, or choose another."
        )
    return read_network(find_folder(settings, name), run, settings)


def read_network(folder: Path, run: Run, settings: Settings) -> nn.Module:
    """The network of a run, from the folder it was read from, in eval mode on the CPU."""
    if run.run == "custom_cnn":
        model: nn.Module = CustomCNN(len(run.classes))
    else:
        model = load_backbone(settings)
        model.fc = nn.Linear(model.get_parameter("fc.weight").shape[1], len(run.classes))
    state = load_tensors(folder / "weights.pt")
    model.load_state_dict(model.state_dict() | state)
    return model.eval()


def load_run_test(settings: Settings, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A saved run's logits [N, classes] for the test set, and its labels [N]."""
    with np.load(find_folder(settings, name) / "test.npz", allow_pickle=False) as saved:
        return torch.from_numpy(saved["logits"]), torch.from_numpy(saved["labels"])


def find_best(runs: list[Run]) -> Run:
    """The run with the highest validation accuracy; of equals, the one that trained the least.

    The test set has no say.
    """
    return max(runs, key=lambda run: (run.validation_accuracy, -run.trainable_parameters))


def collect_results(settings: Settings) -> list[Run]:
    """Every finished run on these images with this backbone, in the order of the course."""
    loaders = make_loaders(settings)
    return [run for name in RUNS if (run := find_run(settings, name, loaders))]


def format_comparison(runs: list[Run]) -> str:
    """The closing table of the course as text, 72 characters wide."""
    lines = [
        f"{'run':16} {'test accuracy':>13}  {'95 % interval':13} {'epochs':>6} {'seconds':>7} "
        f"{'trainable':>10}"
    ]
    for run in runs:
        low, high = run.interval
        interval = f"{100 * low:.1f}–{100 * high:.1f} %"
        lines.append(
            f"{RUNS[run.run].label:16} {100 * run.test_accuracy:>11.1f} %  {interval:13} "
            f"{run.epochs:>6} {run.seconds:>7.1f} {run.trainable_parameters:>10,}"
        )
    return "\n".join(lines)
