"""What the whole course will take on this machine: an estimate from a second's calibration."""

import math
import statistics
import time

# On two cores of an AMD EPYC (AVX2, no AVX512): the six notebooks of the sample profile, idle; a
# step as `time_step` takes it, half of its processor seconds, since other work ran beside it.
MEASURED_MINUTES = 15.3
MEASURED_STEP = 0.35  # seconds
# Not all of the course is training, and no machine has the same work to do for half an hour.
LOW, HIGH = 0.7, 1.5


def time_step(seconds: float = 1.0) -> float:
    """Seconds of a training step of the course's own network with eight pictures, as of now.

    The median of the steps of about a second, after one to warm up: what else the machine has to
    do at present slows the course as well.
    """
    import torch

    from utils.models import CustomCNN
    from utils.training import LAYOUT

    model = CustomCNN(2).to(memory_format=LAYOUT)
    images = torch.rand(8, 3, 224, 224).contiguous(memory_format=LAYOUT)
    model(images).sum().backward()
    taken = []
    while sum(taken) < seconds:
        start = time.perf_counter()
        model(images).sum().backward()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def describe_minutes(step: float) -> str:
    """A row to the settings' table: the sample profile where a step takes so many seconds."""
    minutes = MEASURED_MINUTES * step / MEASURED_STEP
    low, high = max(1, math.floor(minutes * LOW)), max(2, math.ceil(minutes * HIGH))
    value = f"{low} to {high} minutes here"
    return f"{'estimate':10} {value:28} from a training step just now, {step:.2f} s"
