"""Kills a training and a download with SIGKILL, again and again, and lets them go on.

`make soak` kills each of them twenty times, at other moments every time; the tests, three times. A
kill is survived if the next process starts from what is left. In the end all must be, byte for
byte, what a process makes that nobody interrupts.

    python -m tools.soak [KILLS] [SEED]
"""

import hashlib
import multiprocessing
import random
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import BytesIO, StringIO
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from utils.download import download
from utils.settings import Settings, load_settings
from utils.training import fit

EPOCHS = 60


@dataclass
class Report:
    """What became of the kills."""

    name: str
    tried: int = 0
    survived: int = 0
    trials: int = 0  # times that it came to its end
    equal: int = 0  # times that it ended as it does when nobody interrupts it

    def __str__(self) -> str:
        return (
            f"{self.name}: survived {self.survived} of {self.tried} kills; {self.equal} of "
            f"{self.trials} ended as if uninterrupted"
        )


def hash_folder(folder: Path) -> str:
    """One hash of the names and contents of all files, but for locks."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".lock":
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def kill_again_and_again(
    name: str, work: Callable[[Path], None], folder: Path, kills: int, seed: int
) -> Report:
    """Kill the process that does `work` in a folder; begin anew where it ends before its kill."""
    context = multiprocessing.get_context("fork")  # what is imported here is there at once
    generator, report = random.Random(seed), Report(name)

    def start(where: str) -> multiprocessing.process.BaseProcess:
        (folder / where).mkdir(parents=True, exist_ok=True)
        process = context.Process(target=work, args=(folder / where,))
        process.start()
        return process

    started = time.monotonic()
    process = start("undisturbed")
    process.join()
    seconds, expected = time.monotonic() - started, hash_folder(folder / "undisturbed" / "result")
    was_killed = False
    while report.tried < kills or was_killed:
        process = start("victim")
        process.join(generator.uniform(0, 0.6 * seconds) if report.tried < kills else None)
        if process.is_alive():
            process.kill()
            process.join()
            report.tried += 1
            was_killed = True
            continue
        report.survived = report.tried if process.exitcode == 0 else report.survived
        report.trials += 1
        report.equal += hash_folder(folder / "victim" / "result") == expected
        shutil.rmtree(folder / "victim")
        was_killed = False
    return report


def train(folder: Path) -> None:
    """Train a small network with dropout to its end; its weights are the result."""
    torch.set_num_threads(1)  # a forked process has lost the threads of its parent
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 2))
    images, labels = torch.randn(512, 64), torch.arange(512) % 2
    loader = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters())
    with redirect_stderr(StringIO()), redirect_stdout(StringIO()):  # the progress bars
        fit(model, loader, loader, optimizer, EPOCHS, checkpoint=folder / "checkpoint.pt")
    weights = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    (folder / "result").mkdir(exist_ok=True)
    (folder / "result" / "weights").write_bytes(weights)


def soak_training(folder: Path, kills: int, seed: int) -> Report:
    """The weights are those of an uninterrupted training."""
    return kill_again_and_again("training", train, folder, kills, seed)


def pack_images(count: int) -> bytes:
    """A tar of noisy images of cats and dogs, in no published form."""
    buffer, generator = BytesIO(), random.Random(0)
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for index in range(count):
            image = BytesIO()
            Image.frombytes("RGB", (48, 48), generator.randbytes(3 * 48 * 48)).save(image, "PNG")
            species = ("cats", "dogs")[index % 2]
            part = ("train", "valid")[index % 5 == 0]
            member = tarfile.TarInfo(f"pets/{part}/{species}/{index}.png")
            member.size = image.tell()
            archive.addfile(member, BytesIO(image.getvalue()))
    return buffer.getvalue()


def soak_unpacking(folder: Path, kills: int, seed: int) -> Report:
    """The tree is the one that an uninterrupted process makes of the same archive."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "pets.tgz"
    archive.write_bytes(pack_images(400))
    with redirect_stdout(StringIO()):
        settings: Settings = load_settings("sample", data=str(archive))

    def unpack(home: Path) -> None:
        torch.set_num_threads(1)
        with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
            tree = download(replace(settings, home=home))
        result = home / "result"
        if not result.exists():
            ignored = shutil.ignore_patterns(".*")
            shutil.copytree(tree, home / "copy", ignore=ignored, dirs_exist_ok=True)
            (home / "copy").rename(result)

    return kill_again_and_again("unpacking", unpack, folder, kills, seed)


def main(arguments: list[str]) -> int:
    """Kill both; returns 0 if all was survived and equal."""
    kills, seed = (*map(int, arguments), *(20, time.time_ns() % 10_000)[len(arguments) :])
    reports = []
    print(f"{kills} kills each, seed {seed}")
    for soak in (soak_training, soak_unpacking):
        with tempfile.TemporaryDirectory() as folder:
            reports.append(soak(Path(folder) / "soak", kills, seed))
        print(reports[-1], flush=True)
    well = all(r.survived == r.tried == kills and r.equal == r.trials for r in reports)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
