"""A finished run, ready to name pictures it has never seen."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from utils.augmentation import crop_center
from utils.calibration import find_calibration
from utils.errors import CourseError
from utils.models import CustomCNN, load_backbone, replace_head
from utils.pictures import decode_picture
from utils.runs import RUN_NAMES, Run, find_run, load_run_weights
from utils.settings import Settings
from utils.training import autocast
from utils.weights import Preprocessing, find_preprocessing

BATCH_SIZE = 32


@dataclass(frozen=True)
class Classifier:
    """A network with everything that turns a picture file into probabilities."""

    network: str  # "custom_cnn" or the backbone's name
    model: nn.Module  # in eval mode, on `device`
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float = 1.0  # the logits are divided by it
    device: str = "cpu"
    precision: str = "float32"


def choose_run(settings: Settings) -> str:
    """The name of the run with the highest validation accuracy; of equals, the least trained one.

    A run's validation accuracy is what notebook 05 measured, else that of its last epoch. A frozen
    run without any is taken for the best, as it is in this course. The test set has no say.
    Raises CourseError where there is no run.
    """
    runs = [run for name in RUN_NAMES if (run := find_run(settings, name))]
    if not runs:
        raise CourseError(
            f"There is no trained network for the dataset {settings.data} with the backbone "
            f"{settings.backbone} in {settings.home / 'runs'}: run notebook 03 or 05 (make run "
            "runs all), or set COURSE_DATA, COURSE_BACKBONE and COURSE_HOME as they were there."
        )

    def rank(run: Run) -> tuple[float, int]:
        history = run.history.get("validation_accuracy") or [1.0 if run.run == "frozen" else 0.0]
        accuracy = find_calibration(settings, run.run).get("validation_accuracy", history[-1])
        return accuracy, -run.trainable_parameters

    return max(runs, key=rank).run


def load_classifier(settings: Settings, name: str) -> Classifier:
    """A saved run with its temperature (1 where notebook 05 has not measured it yet).

    Raises CourseError where there is no such run, or it cannot be used.
    """
    run = find_run(settings, name)
    if run is None:
        there = [other for other in RUN_NAMES if find_run(settings, other)]
        raise CourseError(
            f"There is no run {name!r} for the dataset {settings.data} with the backbone "
            f"{settings.backbone}; there is {' and '.join(there) or 'none at all'}: run the "
            "notebook that makes it, or choose another."
        )
    if not run.classes:
        raise CourseError(f"The run {name!r} is of an older form of the course: train it again.")
    model = CustomCNN(len(run.classes)) if name == "custom_cnn" else load_backbone(run.backbone)
    part = model
    if name != "custom_cnn":
        head = replace_head(model, len(run.classes))
        part = head if name == "frozen" else model  # a frozen run saves what it trained
    part.load_state_dict(load_run_weights(settings, name))
    return Classifier(
        network="custom_cnn" if name == "custom_cnn" else run.backbone,
        model=model.to(settings.device).eval(),
        classes=tuple(run.classes),
        preprocessing=find_preprocessing(run.backbone),
        temperature=find_calibration(settings, name).get("temperature", 1.0),
        device=settings.device,
        precision=settings.precision,
    )


@torch.inference_mode()
def predict_probabilities(classifier: Classifier, images: np.ndarray) -> torch.Tensor:
    """Pictures as `decode_picture` gives them, uint8 [N, S, S, 3] → float32 [N, classes]."""
    batch = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).to(classifier.device)
    inputs = crop_center(batch, classifier.preprocessing)
    with autocast(classifier.device, classifier.precision):
        logits = classifier.model(inputs)
    return (logits.float() / classifier.temperature).softmax(dim=1).cpu()


def predict_files(
    classifier: Classifier, paths: Iterable[Path]
) -> Iterator[tuple[Path, torch.Tensor | CourseError]]:
    """Each file with its probabilities, float32 [classes], or with what is wrong with it."""
    size = classifier.preprocessing.resize
    interpolation = classifier.preprocessing.interpolation

    def decode(path: Path) -> np.ndarray | CourseError:
        try:
            return decode_picture(path, size, interpolation)
        except CourseError as error:
            return error

    remaining = iter(paths)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while batch := list(islice(remaining, BATCH_SIZE)):
            decoded = list(pool.map(decode, batch))
            images = [image for image in decoded if isinstance(image, np.ndarray)]
            rows = iter(predict_probabilities(classifier, np.stack(images)) if images else ())
            for path, result in zip(batch, decoded, strict=True):
                yield path, result if isinstance(result, CourseError) else next(rows)
