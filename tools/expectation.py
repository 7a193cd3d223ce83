"""What a run will take on this machine: reference seconds, scaled by a second's calibration."""

import json
import math
import re
import statistics
import time
from pathlib import Path

# The one place for reference seconds: `python -m tools.notebooks update --measure` rewrites it.
EXPECTED = Path(__file__).with_name("expected_seconds.json")
# Not all of the course is training, and no machine has the same work to do for half an hour.
LOW, HIGH = 0.7, 1.5
WORDS = (
    *("half a minute", "a minute", "a minute and a half"),
    *("two minutes", "two and a half minutes", "three minutes"),
)


def time_step(seconds: float = 1.0) -> float:
    """Seconds of one training step of notebook 02's network with eight images, as of now.

    The median of the steps of about a second, after one to warm up: what else the machine has to
    do at present slows the course as well.
    """
    import torch

    from utils.models import CustomCNN

    model, images = CustomCNN(2), torch.rand(8, 3, 224, 224)
    model(images).sum().backward()
    taken: list[float] = []
    while sum(taken) < seconds:
        start = time.perf_counter()
        model(images).sum().backward()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def describe_expectation(names: list[str], step: float, expected: dict) -> str:
    """A sentence about the minutes these notebooks take where a step takes `step` seconds.

    It is empty where one of them has not been measured.
    """
    if not set(names) <= set(expected["notebook_seconds"]):
        return ""
    measured = sum(expected["notebook_seconds"][name] for name in names)
    minutes = measured / 60 * step / expected["step_seconds"]
    low, high = max(1, math.floor(minutes * LOW)), max(2, math.ceil(minutes * HIGH))
    return (
        f"Expect {low} to {high} minutes here: {measured / 60:.1f} on {expected['machine']}, where "
        f"a training step takes {expected['step_seconds']:.2f} s; just now it took {step:.2f} s."
    )


def say_minutes(seconds: float) -> str:
    """To half a minute, in words up to three minutes."""
    halves = max(1, round(seconds / 30))
    return WORDS[halves - 1] if halves <= len(WORDS) else f"{round(seconds / 60)} minutes"


def promise_minutes(text: str, name: str, expected: dict) -> str:
    """The text of the notebook `name`, or of README, with the minutes that were measured."""
    seconds = expected["notebook_seconds"]
    if name in seconds:
        promised = f"about {say_minutes(seconds[name])} of computing on two CPU cores"
        return re.sub(r"about [^|;]{1,40} of computing on two CPU cores", promised, text)
    core = [value for stem, value in sorted(seconds.items()) if stem < "06"]
    others = [value for stem, value in seconds.items() if stem >= "06"]
    promised = f"took {sum(core) / 60:.1f} minutes ({', '.join(f'{each:.0f}' for each in core)} s)"
    each = f"; each elective {min(others):.0f} to {max(others):.0f} s more"
    return re.sub(r"took .* s\)(.*\n.*); each elective .* more", rf"{promised}\1{each}", text)


def read_expected() -> dict:
    """Machine, seconds of a training step on it, and of each notebook."""
    return json.loads(EXPECTED.read_text(encoding="utf-8"))


def write_expected(seconds: dict[str, float], step: float, machine: str) -> None:
    """Keep what was measured; what was measured on another machine is forgotten."""
    before = read_expected()
    known = before["notebook_seconds"] if before["machine"] == machine else {}
    notebooks = known | {name: round(value, 1) for name, value in seconds.items()}
    content = {"machine": machine, "step_seconds": round(step, 3), "notebook_seconds": notebooks}
    EXPECTED.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
