"""Sides of a comparison that do no work: what the runner's tests measure. No PyTorch: quick."""

from pathlib import Path


def note_turns(log: str, name: str):
    """A side that writes down its turns."""
    for number in range(100):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{name}{number} ")
        print("this is no answer")
        yield {"seconds": float(number)}


def read_allocator():
    """Whether the course would set the allocator here; it is this process's own business."""
    import utils.settings

    yield {"seconds": 0.0, "glibc": utils.settings.keep_freed_memory()}


def fail():
    raise ValueError("the reason")
    yield
