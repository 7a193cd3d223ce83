"""One JupyterLab and one browser for all tests; the notebooks are copies, and share one home."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

pytest.register_assert_rewrite("controls", "controls_inspection", "lab")

from lab import WAIT, Lab  # noqa: E402
from patience import HANG, wait_until  # noqa: E402

from utils.settings import ROOT  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SETTINGS = {  # JupyterLab's own
    # Every cell is in the page: those that are scrolled out are looked at, too.
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    # No question, on a first start, whether it may fetch news.
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; COURSE_BROWSER names another program."""
    found = os.environ.get("COURSE_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), "")
    if not found:
        pytest.fail(f"No browser: install chromium (looked for {', '.join(BROWSERS)}).")
    with sync_playwright() as playwright:
        # A container's root has no sandbox; the rest keeps the browser from asking its maker.
        quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        chromium = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", *quiet], timeout=WAIT
        )
        yield chromium
        chromium.close()


def copy_course(folder: Path) -> Path:
    """What the notebooks need of the course, so that those in the repository stay untouched."""
    for name in ("utils", "notebooks"):
        ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    (folder / "data").mkdir()
    shutil.copy(ROOT / "data" / "dogscats-sample.tgz", folder / "data")
    return folder


def read_lab_command() -> list[str]:
    """What `make lab` runs, by this interpreter."""
    # Not as a part of the `make` that may run these tests: that one would say where it is.
    usual = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    printed = subprocess.run(
        ["make", "--no-print-directory", "-n", "lab"],
        cwd=ROOT, env=usual, capture_output=True, text=True, check=True,
    )  # fmt: skip
    last = printed.stdout.replace("\\\n", " ").splitlines()[-1]
    return [sys.executable, *shlex.split(last)[1:]]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`make lab` in a copy of the course, on a free port, with nobody's settings."""
    folder = tmp_path_factory.mktemp("lab")
    root = copy_course(folder / "course")
    home, runtime, settings = (folder / name for name in ("home", "runtime", "settings"))
    for name, text in SETTINGS.items():
        file = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    own = {
        "COURSE_HOME": home,
        "COURSE_PROFILE": "sample",
        "JUPYTERLAB_SETTINGS_DIR": settings,
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
        "JUPYTER_CONFIG_DIR": folder / "configuration",
        "JUPYTER_RUNTIME_DIR": runtime,
        "IPYTHONDIR": folder / "ipython",
    }
    usual = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = read_lab_command() + [
        "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--IdentityProvider.token=",
    ]  # fmt: skip
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=root, env=usual | {name: str(value) for name, value in own.items()},
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        started = Lab(f"http://127.0.0.1:{port}", root, home, runtime)
        wait_until_up(started.address, server, log)
        yield started
    finally:
        server.terminate()
        server.wait(HANG)


def wait_until_up(address: str, server: subprocess.Popen, log: Path) -> None:
    """Return when the server answers; fail with what it wrote if it has ended."""

    def is_up() -> bool:
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=HANG).close()
        except OSError:
            return False
        return True

    try:
        wait_until(is_up, server)
    except AssertionError as error:
        pytest.fail(f"JupyterLab has not started, {error}: {log.read_text()}")
