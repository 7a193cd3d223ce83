"""What all tests share: a course of their own on disk, and slow tests after the fast ones."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from executed import pytest_sessionfinish, pytest_terminal_summary  # noqa: F401
from hypothesis import settings
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from utils.download import transfer

# `make soak` gives the generated files more tries, and other ones each time.
settings.register_profile("tests", max_examples=60, deadline=None, derandomize=True, database=None)
settings.register_profile("soak", max_examples=5_000, deadline=None, database=None)
settings.load_profile("tests")

# A shell's background jobs ignore Ctrl-C, and so would the processes that tests start to interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A fault in something small shows within seconds, not after the kernels have run."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No setting of the caller or of another test reaches a test, and none writes into `data/`."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("COURSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "course-home"))
    yield
    # A command writes its options there, for the processes that it starts.
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience of a classroom's downloads in hundredths of a second."""
    monkeypatch.setattr(transfer, "CONNECT_TIMEOUT", 1.0)
    monkeypatch.setattr(transfer, "STALL_TIMEOUT", 0.4)
    monkeypatch.setattr(transfer, "BACK_OFF", (0.01, 0.01, 0.01))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hurry: None) -> Path:
    """PyTorch's cache of weights, empty, on a machine that reaches nothing but itself."""
    import torch

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def bound_by_permissions() -> list[str]:
    """The beginning of a command that read-only folders apply to, root or not."""
    if os.name == "nt":
        pytest.skip("Windows has no read-only folders")
    if os.geteuid() != 0:
        return []
    prefix = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    if not shutil.which("setpriv") or subprocess.run([*prefix, "true"]).returncode:
        pytest.skip("root may write anywhere, and setpriv is not there to take that from it")
    return prefix


@pytest.fixture
def make_notebook(tmp_path: Path) -> Callable[..., Path]:
    """`make_notebook(cell, …)` writes a small notebook; a cell is nbformat's, or plain code."""

    def make(*cells: str | NotebookNode, name: str = "01_made") -> Path:
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        made = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        nbformat.write(new_notebook(cells=made), path)
        return path

    return make


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of noise: with a share of 0.3, 57 to train on, 25 to validate on, 7 to test on.

    Neither 2 nor 3 divides the last two.
    """
    root = tmp_path_factory.mktemp("noise")
    generator = np.random.default_rng(0)
    for part, counts in (("train", (41, 41)), ("valid", (4, 3))):
        for label, count in enumerate(counts):
            folder = root / part / ("cats", "dogs")[label]
            folder.mkdir(parents=True)
            for row in range(count):
                pixels = generator.integers(0, 120, (64, 64, 3)) + 100 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{row:02}.png")
    return root
