"""How long a test waits: until what it waits for has happened, or clearly never will.

No test judges speed: that is for `make bench`. A limit only keeps a hang from lasting for ever,
and is far above what a slow machine with other work to do could need.
"""

import subprocess
import time
from collections.abc import Callable

HANG = 1800  # seconds; the longest wait of any test is a fiftieth of it on two slow cores


def wait_until(condition: Callable[[], object], process: subprocess.Popen | None = None) -> None:
    """Return once the condition holds; fail if the process has ended, or nothing ever happens."""
    deadline = time.monotonic() + HANG
    while not condition():
        if process is not None and process.poll() is not None and not condition():
            raise AssertionError(f"ended before it happened: {process.communicate()}")
        if time.monotonic() > deadline:
            if process is not None:
                process.kill()
            raise AssertionError("waited in vain")
        time.sleep(0.005)
