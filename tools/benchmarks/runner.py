"""Two or three processes that take turns, and what their measurements come to."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Side:
    """What one process does: a generator function `module:function` and its arguments."""

    task: str
    arguments: dict = field(default_factory=dict)
    allocator: str = "default"  # see worker.set_allocator


class Worker:
    """A process of its own for one side, idle until it is asked for a repetition."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.errors = tempfile.TemporaryFile("w+")
        command = [sys.executable, "-m", "tools.benchmarks.worker", side.allocator, side.task]
        self.process = subprocess.Popen(
            [*command, json.dumps(side.arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=ROOT,
            env=clean_environment(),
        )
        assert self.process.stdin and self.process.stdout
        self.requests, self.answers = self.process.stdin, self.process.stdout
        self.read()

    def repeat(self) -> dict:
        """Run one repetition; its measurements."""
        self.requests.write("again\n")
        self.requests.flush()
        return json.loads(self.read())

    def read(self) -> str:
        answer = self.answers.readline()
        if not answer:
            self.errors.seek(0)
            raise RuntimeError(f"{self.side.task} failed:\n{self.errors.read()[-3000:]}")
        return answer

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self.requests.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.answers.close()
        self.errors.close()


def clean_environment() -> dict[str, str]:
    """The environment without the caller's course settings, and with our modules to be found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
    # The allocator's own variables would give every side what only one is meant to have.
    kept = {name: value for name, value in kept.items() if not name.startswith("MALLOC_")}
    return kept | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


def alternate(
    sides: dict[str, Side], repetitions: int, warm_up: bool = True
) -> dict[str, list[dict]]:
    """Each side's measurements: one repetition of each in turn, never two at a time.

    Every other round goes backwards, so that a machine that grows slower favours nobody. With
    `warm_up` each side runs once before, unmeasured.
    """
    measured: dict[str, list[dict]] = {name: [] for name in sides}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(side)) for name, side in sides.items()}
        if warm_up:
            for worker in workers.values():
                worker.repeat()
        for number in range(repetitions):
            for name in list(workers) if number % 2 == 0 else reversed(workers):
                measured[name].append(workers[name].repeat())
    return measured


def make_row(
    name: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    unit: str,
    goal: float | None = None,
    **more,
) -> dict:
    """One line of the table. `ratio` is how many times better ours is, the median over rounds.

    For seconds less is better, so it is baseline ÷ ours; for rates it is ours ÷ baseline.
    """
    pairs = list(zip(ours, baseline, strict=True))
    ratios = [(b / o if unit == "s" else o / b) for o, b in pairs]
    return {
        "name": name,
        "ours": statistics.median(ours),
        "baseline": statistics.median(baseline),
        "ratio": statistics.median(ratios),
        "unit": unit,
        "ratios": ratios,
        "goal": goal,
        **more,
    }


def format_row(row: dict) -> str:
    goal = "" if row["goal"] is None else f"≥ {row['goal']:g}"
    reached = "" if row["goal"] is None else ("yes" if row["ratio"] >= row["goal"] else "no")
    spread = f"{min(row['ratios']):.2f}–{max(row['ratios']):.2f}"
    return (
        f"{row['name']:30} {row['ours']:>9.3f} {row['baseline']:>9.3f} {row['unit']:10} "
        f"{row['ratio']:>7.2f}  {spread:15} {len(row['ratios']):>3}  {goal:>6} {reached}"
    )


HEADER = (
    f"{'name':30} {'ours':>9} {'baseline':>9} {'unit':10} {'ratio':>7}  {'lowest–highest':15} "
    f"{'n':>3}  {'goal':>6}"
)
