"""Finished runs: saved, found again, and compared with intervals."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch
from torch import nn

from utils.checkpoints import is_whole, load_tensors
from utils.data import Dataset
from utils.files import put_aside, read_json, write_atomically, write_json
from utils.pictures import Pictures
from utils.settings import Settings
from utils.sources import find_source
from utils.training import Evaluation, History

RUN_NAMES = ("custom_cnn", "frozen", "unfrozen")  # in the order of the course


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
    seconds: float  # of training, decoded pictures to final weights
    trainable_parameters: int
    pictures: str  # key of the training pictures
    history: dict = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)  # in the order of the logits

    @property
    def test_accuracy(self) -> float:
        return self.correct / self.n_test

    @property
    def interval(self) -> tuple[float, float]:
        return find_interval(self.correct, self.n_test)


def find_interval(correct: int, seen: int) -> tuple[float, float]:
    """95 % Wilson interval of an accuracy (Wilson, 1927), both ends in 0..1.

    The shares from which what was seen is no further off than 1.96 standard errors. (SciPy has the
    same; importing scipy.stats takes as long as half of PyTorch, in every notebook and command.)
    """
    z = NormalDist().inv_cdf(0.975)
    weight = seen / (seen + z**2)  # of what was seen, the rest being that of an even chance
    middle = weight * correct / seen + (1 - weight) / 2
    half = weight * z / seen * math.sqrt(correct * (1 - correct / seen) + z**2 / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def format_accuracy(correct: int, seen: int) -> str:
    """Accuracy with its interval: `97.3 % (95 % interval 94.8–98.6 %, 292 of 300)`."""
    low, high = find_interval(correct, seen)
    return (
        f"{correct / seen:.1%} (95 % interval {100 * low:.1f}–{100 * high:.1f} %, "
        f"{correct:,} of {seen:,})"
    ).replace("%", " %", 1)


def find_folder(settings: Settings, name: str) -> Path:
    """Where a run of this dataset and backbone lives, with its checkpoint."""
    dataset = find_source(settings.data).name
    return settings.home / "runs" / f"{dataset}-{settings.backbone}" / name


def save_run(
    settings: Settings,
    name: str,
    dataset: Dataset,
    train: Pictures,
    test: Evaluation,
    model: nn.Module,
    *,
    epochs: int,
    seconds: float,
    trainable_parameters: int,
    history: History | None = None,
) -> Run:
    """Save weights, test logits and figures of a finished run, replacing an earlier one."""
    run = Run(
        run=name,
        dataset=dataset.name,
        backbone=settings.backbone,
        correct=test.correct,
        n_test=len(test.labels),
        n_train=len(train),
        epochs=epochs,
        seconds=seconds,
        trainable_parameters=trainable_parameters,
        pictures=train.key,
        history=asdict(history) if history else {},
        classes=list(dataset.classes),
    )
    folder = find_folder(settings, name)
    # First, since a run counts from the moment its description is there: while the files of two
    # runs lie side by side there is none.
    (folder / "run.json").unlink(missing_ok=True)
    state = {key: value.cpu() for key, value in model.state_dict().items()}
    write_atomically(folder / "weights.pt", lambda file: torch.save(state, file))
    arrays = {"logits": test.logits.numpy(), "labels": test.labels.numpy()}
    write_atomically(folder / "test.npz", lambda file: np.savez(file, **arrays))
    write_json(folder / "run.json", asdict(run))
    return run


def find_run(settings: Settings, name: str, train: Pictures | None = None) -> Run | None:
    """The saved run; None where there is none or, with `train`, it had other training pictures.

    A run with a damaged file counts as none: a line says so, and it is made again.
    """
    folder = find_folder(settings, name)
    try:
        run = Run(**read_json(folder / "run.json"))
    except TypeError:  # no description, or not of a run
        return None
    if train is not None and run.pictures != train.key:
        return None
    for file in (folder / "weights.pt", folder / "test.npz"):
        if not is_whole(file):
            put_aside(folder / "run.json", "damaged")
            print(f"The saved run {name} has a damaged file, {file}: it counts as not made yet.")
            return None
    return run


def load_run_weights(settings: Settings, name: str) -> dict[str, torch.Tensor]:
    """The final weights of a saved run, on the CPU."""
    return load_tensors(find_folder(settings, name) / "weights.pt")


def load_run_test(settings: Settings, name: str) -> Evaluation:
    """What a saved run said about the test set."""
    with np.load(find_folder(settings, name) / "test.npz", allow_pickle=False) as saved:
        return Evaluation(torch.from_numpy(saved["logits"]), torch.from_numpy(saved["labels"]))


def collect_results(settings: Settings) -> list[dict]:
    """A row for each finished run of this dataset and backbone, in the order of the course."""
    runs = [find_run(settings, name) for name in RUN_NAMES]
    return [
        {
            "run": run.run,
            "dataset": run.dataset,
            "backbone": run.backbone,
            "test_accuracy": run.test_accuracy,
            "interval": list(run.interval),
            "n_test": run.n_test,
            "n_train": run.n_train,
            "epochs": run.epochs,
            "seconds": run.seconds,
            "trainable_parameters": run.trainable_parameters,
        }
        for run in runs
        if run is not None
    ]


def format_comparison(rows: list[dict]) -> str:
    """The closing table of the course as text."""
    lines = [
        f"{'run':12} {'test accuracy':>13}  {'95 % interval':15} {'pictures':>8} {'epochs':>6} "
        f"{'training':>9} {'trainable':>12}"
    ]
    for row in rows:
        low, high = row["interval"]
        interval = f"{100 * low:.1f}–{100 * high:.1f} %"
        lines.append(
            f"{row['run']:12} {100 * row['test_accuracy']:>11.1f} %  {interval:15} "
            f"{row['n_train']:>8,} {row['epochs']:>6} {row['seconds']:>7.1f} s "
            f"{row['trainable_parameters']:>12,}"
        )
    return "\n".join(lines)


def write_results(rows: list[dict], path: Path) -> None:
    """The same rows as JSON."""
    write_json(path, rows)
