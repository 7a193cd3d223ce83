"""Names images from the command line: `python -m utils.predict photo.jpg folder …`.

The network is the best, by its validation images, of those trained on your own images last, or else
on the course's; COURSE_DATA, COURSE_BACKBONE, COURSE_HOME and `--run NAME` choose others.
"""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

# PyTorch takes seconds to import: what needs it is imported when there is something to predict.
from utils.download.layouts import scan, simplify
from utils.download.sources import SOURCES
from utils.settings import CourseError, Settings, load_settings, print_anything

BATCH_SIZE = 32


def main(arguments: list[str] | None = None) -> int:
    """Print class and probability of each image; returns 1 where nothing could be predicted."""
    print_anything()
    parser = argparse.ArgumentParser(prog="python -m utils.predict", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="an image or a folder")
    parser.add_argument("--run", help="custom_cnn, frozen, unfrozen …; default: the best")
    given = parser.parse_args(arguments)
    try:
        return print_predictions(find_images(given.paths), given.run)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def find_images(paths: list[Path]) -> dict[Path, str]:
    """Every image file with the name of the first folder it lies in below a given folder.

    Folders are searched; hidden names and texts are passed over. What is not there, is no image,
    or has none, gets a sentence on stderr.
    """
    found: dict[Path, str] = {}
    for path in paths:
        try:
            folder = scan(path, Path(os.devnull)) if path.is_dir() else None
            for odd in folder.all_odd if folder else []:
                print(f"{odd} is no image: passed over.", file=sys.stderr)
            inside = folder.all_images if folder else [path] * path.exists()
        except (OSError, CourseError) as error:
            print(error, file=sys.stderr)
            continue
        if not inside:
            print(path, "has no images in it." if folder else "does not exist.", file=sys.stderr)
        for file in inside:
            found[file] = next(iter(file.relative_to(path).parts[:-1]), "")
    return found


def print_predictions(images: dict[Path, str], name: str | None) -> int:
    """One line for the network, one for each image, one for the accuracy; returns the exit code.

    `images` are paths with the names of their folders: those that are classes make the accuracy.
    """
    from utils.claims import format_accuracy
    from utils.runs import RUNS, read_network

    if not images:
        return 1
    with contextlib.redirect_stdout(io.StringIO()):  # the table is for notebooks
        settings = load_settings()
    folder, run, settings = choose_network(settings, name)
    model = read_network(folder, run, settings).to(settings.device)
    network = RUNS[run.run].label + ("" if run.run == "custom_cnn" else f", {run.backbone}")
    print(f"Network: {network}, trained on {run.n_train:,} images of {run.dataset}")
    right: list[bool] = []
    predicted = 0
    known = {simplify(name): name for name in run.classes}
    width = min(60, max(len(str(path)) for path in images))
    for path, result in predict_images(model, settings, images):
        if isinstance(result, CourseError):
            print(result, file=sys.stderr)
            continue
        predicted += 1
        answer = run.classes[int(result.argmax())]
        print(f"{str(path):{width}}  {answer}  {100 * float(result.max()):.1f} %")
        if truth := known.get(simplify(images[path])):
            right.append(answer == truth)
    if right:
        print(f"Accuracy by the names of the folders: {format_accuracy(sum(right), len(right))}")
    return 0 if predicted else 1


def choose_network(settings: Settings, name: str | None = None) -> tuple:
    """(folder, Run, Settings) of the run to ask: `name`, or the best on the same images.

    Without COURSE_DATA the images are one's own that were trained on last, or else the course's.
    Raises CourseError where there is none.
    """
    from utils.runs import find_best, find_folder, read_run

    place, backbone = settings.home / "runs", os.environ.get("COURSE_BACKBONE")
    ages = [
        (file.parts[-3].rpartition("-")[0] not in SOURCES, file.stat().st_mtime, file.parents[1])
        for file in place.glob("*/*/run.json")
    ]
    folders = list(dict.fromkeys(folder for *_, folder in sorted(ages, reverse=True)))
    if os.environ.get("COURSE_DATA"):
        folders = [find_folder(settings, "")]
    for folder in folders:
        runs = [run for file in folder.glob("*/run.json") if (run := read_run(file.parent))]
        runs = [run for run in runs if backbone in (None, "", run.backbone)]
        if runs := [run for run in runs if name in (None, run.run)]:
            best = find_best(runs)
            return folder / best.run, best, replace(settings, backbone=best.backbone)
    raise CourseError(
        f"There is {f'no run {name!r}' if name else 'no trained network'} for these settings in "
        f"{place}: run notebook 03 or 05 (make run runs all), or set COURSE_HOME, COURSE_DATA and "
        "COURSE_BACKBONE as they were there."
    )


def predict_images(model: Callable, settings: Settings, paths: Iterable[Path]) -> Iterator[tuple]:
    """Each file with its probabilities, float32 [classes], or with what is wrong with it.

    `model` is in eval mode on the device of `settings`, and images are prepared for its backbone.
    """
    import torch

    from utils.data import make_transforms, read_image

    _, test_transform = make_transforms(settings)

    def prepare(path: Path) -> torch.Tensor | CourseError:
        try:
            return test_transform(read_image(path))
        except CourseError as error:
            return error

    remaining = iter(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool, torch.inference_mode():
        while batch := list(islice(remaining, BATCH_SIZE)):
            prepared = list(pool.map(prepare, batch))
            whole = [image for image in prepared if isinstance(image, torch.Tensor)]
            logits = model(torch.stack(whole).to(settings.device)) if whole else torch.empty(0, 1)
            rows = iter(logits.softmax(dim=1).cpu())
            for path, image in zip(batch, prepared, strict=True):
                yield path, next(rows) if isinstance(image, torch.Tensor) else image


if __name__ == "__main__":
    sys.exit(main())
