"""A process that runs one side of a comparison, a repetition each time it is asked for one.

    python -m tools.benchmarks.worker ALLOCATOR MODULE:FUNCTION ARGUMENTS

The function is a generator: what comes before its first `yield` is preparation, and each `yield`
hands over the measurements of one repetition. The allocator is a process-wide setting, and so each
side needs a process of its own.
"""

import contextlib
import ctypes
import importlib
import json
import platform
import sys
import time
from pathlib import Path


def set_allocator(kind: str) -> None:
    """`default`: nobody changes it; `kept`: as the course does; `course`: `load_settings` does."""
    if kind == "default":
        platform.libc_ver = lambda *_: ("", "")  # what utils.settings asks before it sets anything
    elif kind == "kept" and sys.platform == "linux":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0), mallopt(-1, -1), mallopt(-2, 256 * 1024**2)


def restart_peak() -> None:
    """Let the peak of this process's memory begin anew (Linux only)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def read_peak() -> int | None:
    """The largest resident memory since `restart_peak`, in bytes; None where Linux is not."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def main(allocator: str, task: str, arguments: str) -> None:
    set_allocator(allocator)
    answers, sys.stdout = sys.stdout, sys.stderr  # what the code under test prints is no answer
    module, function = task.split(":")
    repetitions = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        restart_peak()
        start = time.process_time()
        measured = next(repetitions)
        own = {"peak_memory": read_peak(), "processor_seconds": time.process_time() - start}
        print(json.dumps(own | measured), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
