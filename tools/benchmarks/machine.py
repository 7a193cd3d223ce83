"""What a measurement was made on and with, and how much of the machine others took meanwhile."""

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil

# What decides which kernels PyTorch and ONNX Runtime take.
FLAGS = "avx2 avx512f avx512_bf16 avx_vnni avx512_vnni amx_tile amx_bf16 amx_int8".split()
PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow")
BUSY = 0.15  # of all cores: two busy cores of sixteen pass, one of two does not


def describe_machine() -> dict:
    """Processor, cores, the flags it has of FLAGS, versions and the day: keys of every row."""
    found = {"model name": platform.processor() or platform.machine(), "flags": ""}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            found[key.strip()] = value.strip()
    return {
        "processor": found["model name"],
        "cores": os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in found["flags"].split()],
        "versions": {"Python": platform.python_version()}
        | {name: version(name).split("+")[0] for name in PACKAGES},
        "date": str(date.today()),
    }


def read_clocks() -> tuple[float, float, float]:
    """Seconds: of the wall, of all cores at work, and of ourselves and our ended processes."""
    cores = psutil.cpu_times()._asdict()
    # A guest's time is also its user's; what waits for a disk computes nothing.
    rest = sum(cores.get(name, 0) for name in ("idle", "iowait", "guest", "guest_nice"))
    return time.perf_counter(), sum(cores.values()) - rest, sum(os.times()[:4])


@contextlib.contextmanager
def watch_others() -> Iterator[dict]:
    """Fills in the load before, the share of all cores that others took, and whether it is busy.

    (Windows does not say what ended processes took: there every row counts as busy.)
    """
    found = {"load": os.getloadavg()[0]} if hasattr(os, "getloadavg") else {}
    before = read_clocks()
    yield found
    wall, all_cores, own = (now - then for now, then in zip(read_clocks(), before, strict=True))
    found["others"] = max(0.0, all_cores - own) / wall / (os.cpu_count() or 1)
    found["busy"] = found["others"] > BUSY
