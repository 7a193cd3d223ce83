"""Names pictures from the command line: `python -m utils.predict photo.jpg folder …`.

The network is the run with the highest validation accuracy, or `--run NAME`; dataset, backbone and
home are the course's own settings (COURSE_PROFILE, COURSE_DATA, COURSE_BACKBONE, COURSE_HOME).
"""

import argparse
import contextlib
import io
import os
import sys
from pathlib import Path

from utils.errors import CourseError
from utils.layout import is_hidden, is_image_name

# PyTorch takes seconds to import: what needs it is imported when there is something to predict.

RUNS = ("custom_cnn", "frozen", "unfrozen", "distributed")


def main(arguments: list[str] | None = None) -> int:
    """Print class and probability of each picture; returns 1 where nothing could be predicted."""
    parser = argparse.ArgumentParser(prog="python -m utils.predict", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a picture or folder")
    parser.add_argument("--run", choices=RUNS, help="default: the best on the validation pictures")
    given = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that is no text must not stop the others
            stream.reconfigure(errors="replace")
    try:
        pictures = find_pictures(given.paths)
        return print_predictions(pictures, given.run) if pictures else 1
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def find_pictures(paths: list[Path]) -> dict[Path, str]:
    """Every picture file with the name of the first folder it lies in below a given folder.

    Folders are searched, hidden names and files that are no pictures by name are passed over.
    What is not there, or has no pictures, gets a sentence on stderr.
    """
    found: dict[Path, str] = {}
    for path in paths:
        if path.is_dir():
            inside = {
                file: parts[0] if len(parts) > 1 else ""
                for file in sorted(path.rglob("*"))
                if not any(map(is_hidden, parts := file.relative_to(path).parts))
                and is_image_name(file.name)
                and file.is_file()
            }
            if not inside:
                print(f"{path} has no pictures in it.", file=sys.stderr)
            found |= inside
        elif path.exists():
            found[path] = ""
        else:
            print(f"{path} does not exist.", file=sys.stderr)
    return found


def print_predictions(pictures: dict[Path, str], run: str | None) -> int:
    from utils.classifier import choose_run, load_classifier, predict_files
    from utils.runs import format_accuracy
    from utils.settings import load_settings

    with contextlib.redirect_stdout(io.StringIO()):  # the table is for notebooks
        settings = load_settings()
    name = run or choose_run(settings)
    classifier = load_classifier(settings, name)
    correct = seen = predicted = 0
    width = min(60, max(len(str(path)) for path in pictures))
    for path, result in predict_files(classifier, pictures):
        if isinstance(result, CourseError):
            print(result, file=sys.stderr)
            continue
        predicted += 1
        label = int(result.argmax())
        answer = classifier.classes[label]
        print(f"{str(path):{width}}  {answer}  {100 * float(result[label]):.1f} %")
        if pictures[path] in classifier.classes:
            seen += 1
            correct += answer == pictures[path]
    if seen:
        print(f"Accuracy of {name!r} by the folders' names: {format_accuracy(correct, seen)}")
    return 0 if predicted else 1


if __name__ == "__main__":
    sys.exit(main())
