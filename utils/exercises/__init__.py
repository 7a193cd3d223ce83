"""Checks the learner's answers: right, wrong with a hint, stopped by an error, or not tried yet."""

from collections.abc import Callable
from importlib import import_module

CHECKS: dict[str, Callable] = {}  # by the exercise's number, filled by @checks in nb01, nb02, …


class NotTried(Exception):
    """The answer still is `...`, or the function still returns nothing."""


def checks(number: str) -> Callable[[Callable], Callable]:
    """Above a function that returns None for a right answer of exercise `number`, else a hint."""

    def register(judge: Callable) -> Callable:
        CHECKS[number] = judge
        return judge

    return register


def check(number: str, answer) -> None:
    """Print what is to be said of an answer. No answer, however wrong, stops the notebook.

    Exercise 3.2 is the second one of notebook 03, and its check stands in `exercises/nb03.py`.
    """
    import_module(f"{__name__}.nb{int(number.partition('.')[0]):02}")
    judge = CHECKS[number]
    try:
        given = answer if isinstance(answer, tuple) else [answer]
        if any(each is ... or each is None for each in given):
            raise NotTried
        hint = judge(answer)
    except NotTried:
        print(f"Exercise {number}: not tried yet. Replace the ... and run the cell again.")
    except Exception as error:  # whatever the learner's code raises is an answer, too
        print(f"Exercise {number}: ✘ your answer stops with {type(error).__name__}: {error}")
    else:
        print(f"Exercise {number}: {'✔ right.' if hint is None else f'✘ not yet. {hint}'}")


def ask(function: Callable, *arguments):
    """What the learner's function returns. Raises NotTried where that is nothing, or `...`."""
    result = function(*arguments)
    if result is None or result is ...:
        raise NotTried
    return result
