"""What the text claims, checked where it is claimed."""

import os

from utils.errors import CourseError


def claim(condition: bool, text: str) -> None:
    """Print ✔ or ✘ before `text`; under CI (`CI` set) a claim that does not hold is an error.

    On your own pictures a claim may fail: then the ✘ is the result, and worth a thought.
    """
    if not condition and os.environ.get("CI"):
        raise CourseError(f"A claim of the text does not hold: {text}.")
    print(f"{'✔' if condition else '✘'} {text}")
