"""Checks the learner's answers: right, wrong with a hint, or not tried yet."""

from collections.abc import Callable
from importlib import import_module


class NotTried(Exception):
    """The answer still is `...`, or the function still returns nothing."""


def check(number: str, answer) -> None:
    """Print what is to be said of an answer. No answer, however wrong, stops the notebook.

    The check of exercise 3.2 is `check_3_2` in `exercises_03`: it returns None for a right answer
    and a hint for a wrong one.
    """
    notebook, place = number.split(".")
    checks = import_module(f"utils.exercises_{int(notebook):02}")
    judge = getattr(checks, f"check_{notebook}_{place}")
    try:
        if answer is ...:
            raise NotTried
        hint = judge(answer)
    except NotTried:
        print(f"Exercise {number}: not tried yet. Replace the ... and run the cell again.")
    except Exception as error:  # whatever the learner's code raises is an answer, too
        print(f"Exercise {number}: ✘ your answer stops with {type(error).__name__}: {error}")
    else:
        print(f"Exercise {number}: {'✔ right.' if hint is None else f'✘ not yet. {hint}'}")


def ask(function: Callable, *arguments):
    """What the learner's function returns; a function that returns nothing was not tried yet."""
    result = function(*arguments)
    if result is None or result is ...:
        raise NotTried
    return result
