"""Kills a training, a download and an unpacking with SIGKILL, again and again, and lets them go on.

`make soak` kills each of them twenty times, at other moments every time; the tests, three times. A
kill is survived if nothing half-done is in use right after it and nothing finished is lost. In the
end all must be, byte for byte, what a process makes that nobody interrupts.

    python tests/soak.py [KILLS] [SEED]
"""

import hashlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from loopback import Answer, list_files, make_pictures, pack_tar, serve
from test_training import PLAN, TRAIN, VALIDATION, make_training
from tqdm.auto import tqdm

from utils import unpack
from utils.checkpoints import find_previous, load_tensors
from utils.download import fetch_dataset
from utils.sources import find_source
from utils.training import History, fit

PICTURES = make_pictures(train=60, test=20)  # 160 files, 320 kB
ARCHIVE = pack_tar(PICTURES)
CLEAN = {".lock", ".sha256"}  # endings of what may stay in downloads/


@dataclass
class Report:
    """What became of the kills."""

    name: str
    tried: int = 0
    survived: int = 0
    while_writing: int = 0  # kills that left a file or folder behind that was not whole
    trials: int = 0  # times that it came to its end
    equal: int = 0  # times that it ended as it does when nobody interrupts it
    ended: bool = False  # whether the last process came to its end

    def __str__(self) -> str:
        return (
            f"{self.name}: survived {self.survived} of {self.tried} kills, {self.while_writing} of "
            f"them in the middle of writing; {self.equal} of {self.trials} ended as if "
            "uninterrupted"
        )


# tqdm's own lock is made for several processes, and its remains would be reported at the end.
tqdm.set_lock(threading.RLock())


def start(target: Callable, *arguments) -> multiprocessing.Process:
    """A fresh process: forked from one that has imported everything, and never trained."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["soak"])
    process = context.Process(target=target, args=arguments)
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):  # to find "soak"
        process.start()
    return process


def kill_again_and_again(
    report: Report,
    begin: Callable[[], multiprocessing.Process],
    has_begun: Callable[[], bool],
    survives: Callable[[], bool],
    ends_equal: Callable[[], bool],
    kills: int,
    longest: float,
    generator: random.Random,
) -> Report:
    """Kill the process that `begin` starts `kills` times, each within `longest` seconds."""
    while True:
        process = begin()
        while not has_begun() and process.is_alive():
            time.sleep(0.002)
        process.join(generator.uniform(0, longest) if report.tried < kills else None)
        report.ended = not process.is_alive()
        if not report.ended:
            process.kill()
            process.join()
            report.tried += 1
            report.survived += survives()
            continue
        report.trials += 1
        report.equal += process.exitcode == 0 and ends_equal()
        if report.tried == kills:
            return report  # else it was quicker than the kill, and begins anew


def hash_state(state: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in state.values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def train(folder: Path, epochs: int) -> None:
    """Train to the end; a line in the journal for each epoch, with the weights' hash."""
    torch.set_num_threads(1)
    model, optimizer, schedule = make_training()

    def note(history: History) -> None:
        with (folder / "journal").open("a") as journal:
            journal.write(f"{len(history.seconds)} {hash_state(model.state_dict())}\n")

    note(History())
    plan, checkpoint = replace(PLAN, epochs=epochs), folder / "checkpoint.pt"
    with redirect_stderr(StringIO()):  # the progress bars
        note(fit(model, optimizer, TRAIN, VALIDATION, plan, schedule, checkpoint, note))


def read_journal(folder: Path) -> dict[int, str]:
    """Epoch → hash of its weights, of all whole lines."""
    lines = (folder / "journal").read_text().split("\n")[:-1]
    return {int(epoch): digest for epoch, digest in map(str.split, lines)}


def soak_training(folder: Path, kills: int, seed: int) -> Report:
    """The state after each kill and the final weights are those of an uninterrupted training."""
    epochs, report = 10 * kills, Report("training")
    undisturbed, victim = folder / "undisturbed", folder / "victim"
    undisturbed.mkdir(parents=True)
    process = start(train, undisturbed, epochs)
    while not (undisturbed / "journal").exists():
        time.sleep(0.002)
    started = time.monotonic()
    process.join()
    seconds, expected = time.monotonic() - started, read_journal(undisturbed)
    checkpoint = victim / "checkpoint.pt"

    def begin() -> multiprocessing.Process:
        if report.ended:
            shutil.rmtree(victim)
        victim.mkdir(exist_ok=True)
        (victim / "journal").unlink(missing_ok=True)
        return start(train, victim, epochs)

    def survives() -> bool:
        report.while_writing += bool(list(victim.glob(".*.tmp")))
        finished = max(read_journal(victim), default=0)
        newest = next(filter(Path.is_file, (checkpoint, find_previous(checkpoint))), None)
        if newest is None:
            return finished == 0
        saved = load_tensors(newest)
        epoch = len(saved["history"]["seconds"])
        return epoch >= finished and hash_state(saved["model"]) == expected[epoch]

    def ends_equal() -> bool:
        names = {path.name for path in victim.iterdir()}
        clean = names == {"journal", checkpoint.name, find_previous(checkpoint).name}
        return clean and read_journal(victim)[epochs] == expected[epochs]

    return kill_again_and_again(
        report, begin, (victim / "journal").exists, survives, ends_equal,
        kills, 1.5 * seconds / kills, random.Random(seed),
    )  # fmt: skip


def fetch(address: str, home: Path, begun: Path) -> None:
    """Download and unpack, slowly enough to be killed on the way."""
    write_member = unpack._write_member

    def write_slowly(*member) -> None:
        time.sleep(0.004)
        write_member(*member)

    unpack._write_member = write_slowly
    begun.touch()
    with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
        fetch_dataset(find_source(address), home)


def soak_fetching(name: str, address: str, folder: Path, kills: int, seed: int) -> Report:
    """What lies there after each kill is whole or not in use; in the end, all of it is there."""
    report, source = Report(name), find_source(address)
    home, begun = folder / "home", folder / "begun"
    part = home / "downloads" / f"{source.file_name}.part"
    dataset = home / "datasets" / source.name

    def begin() -> multiprocessing.Process:
        if report.ended:
            shutil.rmtree(home)
        begun.unlink(missing_ok=True)
        return start(fetch, address, home, begun)

    def is_whole() -> bool:
        files = list_files(dataset)
        return files.pop(".complete.json", None) is not None and files == PICTURES

    def survives() -> bool:
        received = part.read_bytes() if part.exists() else b""
        unpacking = bool(list(home.glob("datasets/.*")))
        report.while_writing += unpacking or 0 < len(received) < len(ARCHIVE)
        return ARCHIVE.startswith(received) and (not dataset.exists() or is_whole())

    def ends_equal() -> bool:
        kinds = {path.suffix for path in (home / "downloads").iterdir()}
        return is_whole() and os.listdir(home / "datasets") == [source.name] and kinds <= CLEAN

    folder.mkdir(parents=True)
    return kill_again_and_again(
        report, begin, begun.exists, survives, ends_equal, kills, 1.2, random.Random(seed)
    )


def soak_download(folder: Path, kills: int, seed: int) -> Report:
    with serve({"pets.tgz": ARCHIVE}) as server:
        server.usual = Answer(pause=0.03)
        return soak_fetching("download", f"{server.url}/pets.tgz", folder, kills, seed)


def soak_unpacking(folder: Path, kills: int, seed: int) -> Report:
    folder.mkdir(parents=True)
    archive = folder / "pets.tgz"
    archive.write_bytes(ARCHIVE)
    return soak_fetching("unpacking", str(archive), folder / "unpacked", kills, seed)


def main() -> int:
    """Twenty kills of each, or as many as asked for; the exit code says whether all survived."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 100_000
    print(f"{kills} kills each, seed {seed}")
    lost = 0
    for soak in (soak_training, soak_download, soak_unpacking):
        with tempfile.TemporaryDirectory() as folder:
            report = soak(Path(folder) / "soak", kills, seed)
        print(report, flush=True)
        lost += report.tried - report.survived + report.trials - report.equal
    return min(lost, 1)


if __name__ == "__main__":
    import soak  # by its own name, so that the processes find what they are to run

    sys.exit(soak.main())
