"""Reads `COURSE_*` once and decides profile, dataset, backbone, device and precision."""

import ctypes
import io
import math
import os
import platform
import re
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class CourseError(RuntimeError):
    """One clear sentence for the person at the keyboard: what is wrong, where, what to do."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this before it prints a traceback of forty lines:
        # in a notebook the reader sees the sentence alone.
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True)
class Profile:
    """How big the world is: a dataset, a backbone, and what its size allows."""

    data: str
    backbone: str
    custom_cnn_epochs: int
    validation_share: float  # of the training part; the smaller the dataset, the larger


PROFILES = {
    "sample": Profile("sample", "efficientnet_lite0", 8, 0.3),
    "photos": Profile("photos", "resnet101", 10, 0.2),
    "full": Profile("full", "resnet101", 10, 0.1),
}
BACKBONES = ("resnet101", "efficientnet_lite0")
# Mean and standard deviation (red, green, blue, of values in 0..1) that the weights expect.
CHANNELS = {
    "resnet101": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "efficientnet_lite0": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
SMALLEST_GAIN = 1.3  # of low precision on a CPU: less is not worth its fewer digits


@dataclass(frozen=True)
class Settings:
    """What was decided. `data` is the name of a dataset or the path or URL of your own."""

    profile: str
    data: str
    backbone: str
    home: Path  # datasets, caches and runs live below this folder
    device: str  # "cuda", "mps" or "cpu"
    precision: str  # lowest precision the device computes fast: "float16", "bfloat16" or "float32"
    mirror: str | None  # address of a folder that is asked before the public ones
    shared: Path | None  # somebody's home, looked through first and never written to
    validation_share: float  # of the training part, set aside for validation
    custom_cnn_epochs: int

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean of red, green and blue that the backbone expects, of values in 0..1."""
        return CHANNELS[self.backbone][0]

    @property
    def std(self) -> tuple[float, float, float]:
        """Standard deviation of red, green and blue that the backbone expects."""
        return CHANNELS[self.backbone][1]

    def describe(self) -> str:
        """A table of every decision, and how to change each of them."""
        home = self.home
        if home.is_relative_to(ROOT):
            home = home.relative_to(ROOT)
        rows = [
            ("profile", self.profile, f"COURSE_PROFILE={'|'.join(PROFILES)}"),
            ("dataset", self.data, "COURSE_DATA=folder, archive, URL"),
            ("backbone", self.backbone, "COURSE_BACKBONE=…"),
            ("home", str(home), "COURSE_HOME=folder"),
            ("device", self.device, "what the machine has"),
            ("precision", self.precision, "the lowest that is quicker here"),
        ]
        # Classrooms set these two; to everyone else they are no decision to be shown.
        if self.shared:
            rows.insert(4, ("shared", str(self.shared), "COURSE_SHARED=folder to read first"))
        if self.mirror:
            rows.insert(4, ("mirror", self.mirror, "COURSE_MIRROR=address to ask first"))
        return "\n".join(f"{name:10} {value:20}  {how}" for name, value, how in rows)


def load_settings(
    profile: str = "auto", data: str = "", backbone: str = "", home: str = ""
) -> Settings:
    """Decide once, print what was decided, and return it.

    `COURSE_PROFILE`, `COURSE_DATA`, `COURSE_BACKBONE` and `COURSE_HOME` win over the arguments, so
    that one command can run all notebooks on another dataset without touching them. A classroom's
    COURSE_MIRROR and COURSE_SHARED are variables only. Freed memory stays with the process from
    here on (see `keep_freed_memory`).

    Raises CourseError for a profile, backbone or path that does not exist.
    """
    device = find_device()
    asked = os.environ.get("COURSE_PROFILE") or profile
    chosen = ("full" if device == "cuda" else "sample") if asked == "auto" else asked
    if chosen not in PROFILES:
        raise CourseError(
            f"There is no profile {chosen!r}: set COURSE_PROFILE (or profile=) to auto, "
            f"{', '.join(PROFILES)}."
        )
    limits = PROFILES[chosen]
    backbone = os.environ.get("COURSE_BACKBONE") or backbone or limits.backbone
    if backbone not in BACKBONES:
        raise CourseError(
            f"There is no backbone {backbone!r}: set COURSE_BACKBONE to {' or '.join(BACKBONES)}."
        )
    keep_freed_memory()
    settings = Settings(
        profile=chosen,
        data=os.environ.get("COURSE_DATA") or data or limits.data,
        backbone=backbone,
        home=Path(os.environ.get("COURSE_HOME") or home or ROOT / "data").expanduser().resolve(),
        device=device,
        precision=find_precision(device),
        mirror=read_mirror(),
        shared=read_shared(),
        validation_share=limits.validation_share,
        custom_cnn_epochs=limits.custom_cnn_epochs,
    )
    print(settings.describe())
    if chosen == "full" and device == "cpu":
        print(
            "No GPU was found: on a CPU this takes hours. In Colab: Runtime, Change runtime type; "
            'elsewhere, load_settings(profile="sample") takes minutes.'
        )
    return settings


def print_anything() -> None:
    """A command prints ? for a letter that its terminal lacks (Windows: cp1252), and goes on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def read_mirror() -> str | None:
    """COURSE_MIRROR: the address of a folder with the datasets' archives and ResNet-101's weights.

    Raises CourseError if it is no http(s) address.
    """
    mirror = os.environ.get("COURSE_MIRROR", "").strip().rstrip("/")
    if mirror and not re.match(r"https?://[^/?#]+(/[^?#]*)?$", mirror, re.IGNORECASE):
        raise CourseError(
            f"COURSE_MIRROR is {mirror!r}, which is no address of a folder: give one such as "
            "http://192.168.0.10:8000."
        )
    return mirror or None


def read_shared() -> Path | None:
    """COURSE_SHARED: a folder that a class reads from. Raises CourseError if it is not there."""
    shared = os.environ.get("COURSE_SHARED")
    if not shared:
        return None
    folder = Path(shared).expanduser().resolve()
    if not folder.is_dir():
        raise CourseError(
            f"There is no folder {folder}: set COURSE_SHARED to the folder with the class's data, "
            "or to nothing."
        )
    return folder


def find_device() -> str:
    """`cuda` where there is a GPU, `mps` on Apple silicon, `cpu` elsewhere."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def find_precision(device: str) -> str:
    """The lowest precision the hardware multiplies matrices in faster than in float32.

    A T4 has fp16 but not bf16. A CPU needs AVX512-BF16 or AMX for bf16 (Linux shows its flags in
    /proc/cpuinfo), and not every CPU that has them gains by them: there a convolution is timed.
    """
    import torch

    if device == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability() >= (8, 0) else "float16"
    if device == "cpu" and Path("/proc/cpuinfo").is_file():
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        has_bfloat16 = "avx512_bf16" in flags or "amx_bf16" in flags
        if has_bfloat16 and measure_bfloat16_gain() > SMALLEST_GAIN:
            return "bfloat16"
    return "float32"


@cache
def measure_bfloat16_gain() -> float:
    """How many times faster than in fp32 a convolution of ResNet's is in bf16, on this CPU.

    The best of several turns, one after the other, so that other work on the machine slows both.
    A tenth of a second. Seen: 2 to 4 on processors that gain, 0.4 to 1 on others.
    """
    import torch
    from torch.nn import functional as F

    best = {torch.float32: math.inf, torch.bfloat16: math.inf}
    shapes = (8, 128, 28, 28), (128, 128, 3, 3)
    with torch.inference_mode():
        for _ in range(6):  # the first turn warms up
            for kind in best:
                tensors = (torch.ones(shape, dtype=kind) for shape in shapes)
                images, kernels = (each.to(memory_format=torch.channels_last) for each in tensors)
                start = time.perf_counter()
                F.conv2d(images, kernels, padding=1)
                best[kind] = min(best[kind], time.perf_counter() - start)
    return best[torch.float32] / best[torch.bfloat16]


def keep_freed_memory() -> bool:
    """Ask glibc to keep the memory of freed tensors; returns whether it applied.

    By default every large tensor is fresh pages from the kernel, zeroed one by one, and goes back
    when it is freed: a third to a half of a training step on a CPU. Only Linux with glibc has this
    switch; elsewhere nothing happens. (mallopt(3): M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD.)
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    mmap_max, trim_threshold, top_pad = -4, -1, -2
    accepted = [mallopt(mmap_max, 0), mallopt(trim_threshold, -1), mallopt(top_pad, 256 * 1024**2)]
    return all(accepted)
