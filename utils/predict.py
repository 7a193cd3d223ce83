"""Names images from the command line: `python -m utils.predict photo.jpg folder …`.

The network is the best, on its validation images, of the runs on the images that were trained on
last; COURSE_DATA, COURSE_BACKBONE and COURSE_HOME choose others, and so does `--run NAME`.
"""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

# PyTorch takes seconds to import: what needs it is imported when there is something to predict.
from utils.download.layouts import scan
from utils.settings import CourseError, Settings, load_settings, print_anything

if TYPE_CHECKING:
    import torch

    from utils.runs import Run

BATCH_SIZE = 32


def main(arguments: list[str] | None = None) -> int:
    """Print class and probability of each image; returns 1 where nothing could be predicted."""
    print_anything()
    parser = argparse.ArgumentParser(prog="python -m utils.predict", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="an image or a folder")
    parser.add_argument("--run", help="custom_cnn, frozen, unfrozen …; default: the best")
    given = parser.parse_args(arguments)
    try:
        images = find_images(given.paths)
        return print_predictions(images, given.run) if images else 1
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def find_images(paths: list[Path]) -> dict[Path, str]:
    """Every image file with the name of the first folder it lies in below a given folder.

    Folders are searched; hidden names and files that are no images are passed over. What is not
    there, or has no images, gets a sentence on stderr.
    """
    found: dict[Path, str] = {}
    for path in paths:
        try:
            inside = scan(path, Path(os.devnull)).all_images if path.is_dir() else [path]
        except OSError as error:
            print(f"{path} cannot be read ({error.strerror or error}).", file=sys.stderr)
            continue
        if not path.exists():
            print(f"{path} does not exist.", file=sys.stderr)
        elif not inside:
            print(f"{path} has no images in it.", file=sys.stderr)
        else:
            parts = {file: file.relative_to(path).parts for file in inside}
            found |= {file: part[0] if len(part) > 1 else "" for file, part in parts.items()}
    return found


def print_predictions(images: dict[Path, str], name: str | None) -> int:
    """One line for the network, one for each image, one for the accuracy; returns the exit code.

    `images` are paths with the names of their folders: those that are classes make the accuracy.
    """
    from utils.claims import format_accuracy
    from utils.runs import RUNS, read_network

    with contextlib.redirect_stdout(io.StringIO()):  # the table is for notebooks
        settings = load_settings()
    folder, run, settings = choose_network(settings, name)
    model = read_network(folder, run, settings).to(settings.device)
    network = RUNS[run.run].label + ("" if run.run == "custom_cnn" else f", {run.backbone}")
    print(f"Network: {network}, trained on {run.n_train:,} images of {run.dataset}")
    correct = seen = predicted = 0
    width = min(60, max(len(str(path)) for path in images))
    for path, result in predict_images(model, settings, images):
        if isinstance(result, CourseError):
            print(result, file=sys.stderr)
            continue
        predicted += 1
        answer = run.classes[int(result.argmax())]
        print(f"{str(path):{width}}  {answer}  {100 * float(result.max()):.1f} %")
        if images[path] in run.classes:
            seen += 1
            correct += answer == images[path]
    if seen:
        print(f"Accuracy by the names of the folders: {format_accuracy(correct, seen)}")
    return 0 if predicted else 1


def choose_network(settings: Settings, name: str | None = None) -> tuple[Path, "Run", Settings]:
    """(folder, Run, Settings) of the run to ask: `name`, or the best on the same images.

    Without COURSE_DATA the images are those of the newest run, so that a network of one's own is
    asked as soon as there is one. Raises CourseError where there is none.
    """
    from utils.runs import find_best, find_folder, read_run

    place = settings.home / "runs"
    newest = {file: file.stat().st_mtime for file in place.glob("*/*/run.json")}
    folders = dict.fromkeys(f.parent.parent for f in sorted(newest, key=newest.get, reverse=True))
    if os.environ.get("COURSE_DATA"):
        folders = [find_folder(settings, "")]
    for folder in folders:
        runs = [run for file in folder.glob("*/run.json") if (run := read_run(file.parent))]
        if backbone := os.environ.get("COURSE_BACKBONE"):
            runs = [run for run in runs if run.backbone == backbone]
        if runs := [run for run in runs if name in (None, run.run)]:
            best = find_best(runs)
            return folder / best.run, best, replace(settings, backbone=best.backbone)
    raise CourseError(
        f"There is {f'no run {name!r}' if name else 'no trained network'} for these settings in "
        f"{place}: run notebook 03 or 05 (make run runs all), or set COURSE_HOME, COURSE_DATA and "
        "COURSE_BACKBONE as they were there."
    )


def predict_images(
    model: "torch.nn.Module", settings: Settings, paths: Iterable[Path]
) -> Iterator[tuple[Path, "torch.Tensor | CourseError"]]:
    """Each file with its probabilities, float32 [classes], or with what is wrong with it.

    `model` is in eval mode; images are prepared as for testing, with `settings`' backbone.
    """
    from concurrent.futures import ThreadPoolExecutor

    import torch

    from utils.data import make_transforms, read_image

    _, test_transform = make_transforms(settings)

    def prepare(path: Path) -> "torch.Tensor | CourseError":
        try:
            return test_transform(read_image(path))
        except CourseError as error:
            return error

    remaining, device = iter(paths), next(model.parameters()).device
    with ThreadPoolExecutor(os.cpu_count()) as pool, torch.inference_mode():
        while batch := list(islice(remaining, BATCH_SIZE)):
            prepared = list(pool.map(prepare, batch))
            whole = [image for image in prepared if isinstance(image, torch.Tensor)]
            logits = model(torch.stack(whole).to(device)) if whole else torch.empty(0, 1)
            rows = iter(logits.softmax(dim=1).cpu())
            for path, image in zip(batch, prepared, strict=True):
                yield path, next(rows) if isinstance(image, torch.Tensor) else image


if __name__ == "__main__":
    sys.exit(main())
