"""A backbone's features computed by many processes: in parts on disk, put together at the end."""

import contextlib
import shutil
import time
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from utils.distributed import ManyProcesses
from utils.errors import CourseError
from utils.features import compute_features, name_features, read_features, write_features
from utils.files import find_places
from utils.models import load_backbone, remove_head
from utils.pictures import Pictures
from utils.settings import Settings
from utils.weights import Preprocessing

SHARD = 64  # pictures: whole batches, so that all batches are those of one process


def extract_shared(
    settings: Settings, pictures: Pictures, preprocessing: Preprocessing, processes: ManyProcesses
) -> tuple[int, float]:
    """Have the features of a split on disk, where `extract_features` finds them.

    Returns how many pictures this took now, and in how many seconds. Each shard is a file of its
    own, whole or not there: a job that was ended goes on from the shards it has, with as many
    processes as it likes. Raises CourseError where the processes share no disk.
    """
    key = name_features(settings, pictures, preprocessing, mirror=False)
    places = find_places(settings.home, "cache", "features", f"{key}.npz")
    folder = places[-1].with_suffix(".shards")
    rows = split_rows(len(pictures))

    def list_missing() -> list[int]:
        if any(read_features(path, len(pictures)) for path in places):
            return []
        return [
            shard
            for shard, one in enumerate(rows)
            if not read_features(name_shard(folder, shard), len(one))
        ]

    missing = processes.ask_first(list_missing)
    if not missing:
        processes.ask_first(lambda: assemble(places[-1], folder, rows, processes.size))
        return 0, 0.0
    backbone = remove_head(load_backbone(settings.backbone))
    processes.wait()
    start = time.perf_counter()
    for shard in tqdm(missing[processes.rank :: processes.size], "shards", leave=False):
        begin = time.perf_counter()
        part = pictures.select(rows[shard])
        values = compute_features(backbone, part, preprocessing, settings)
        seconds = time.perf_counter() - begin
        write_features(name_shard(folder, shard), values, seconds)
    processes.wait()
    seconds = time.perf_counter() - start
    processes.ask_first(lambda: assemble(places[-1], folder, rows, processes.size))
    return sum(len(rows[shard]) for shard in missing), seconds


def split_rows(count: int) -> list[range]:
    """The rows of each shard: their number depends on nothing but the number of pictures."""
    return [range(low, min(low + SHARD, count)) for low in range(0, count, SHARD)]


def name_shard(folder: Path, shard: int) -> Path:
    return folder / f"{shard:05}.npz"


def assemble(path: Path, folder: Path, rows: list[range], size: int) -> None:
    """Write the features of all shards to `path`, in the order of the pictures; remove the shards.

    Its seconds are those of all shards by `size` processes at once. Nothing happens where there are
    no shards. Raises CourseError where one is missing.
    """
    if not folder.is_dir():
        return
    shards = [
        read_features(name_shard(folder, shard), len(one)) for shard, one in enumerate(rows)
    ]
    if None in shards:
        raise CourseError(
            f"{name_shard(folder, shards.index(None))} is not there: COURSE_HOME must be a folder "
            "that all machines of the job read and write."
        )
    values, seconds = zip(*shards, strict=True)
    write_features(path, np.concatenate(values), sum(seconds) / size)
    with contextlib.suppress(OSError):  # whole already: leftovers do no harm
        shutil.rmtree(folder)
