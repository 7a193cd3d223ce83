"""`python -m utils.download`: dataset and weights, here or into a folder to serve to a class."""

import argparse
import os
import sys
from pathlib import Path

from utils.download import download, download_weights
from utils.download.dataset import fetch_archive
from utils.download.sources import find_source
from utils.files import copy_file, format_bytes, hold_lock
from utils.settings import CourseError, Settings, load_settings, print_anything


def fill_mirror(settings: Settings, folder: Path) -> None:
    """Put archive and weights into `folder` as they are, to be served; CourseError without one."""
    source = find_source(settings)
    if not source.is_remote and settings.backbone != "resnet101":
        raise CourseError(
            f"The dataset {source.name} and the backbone {settings.backbone} need no download, so "
            "there is nothing to serve: choose --profile photos or --profile full."
        )
    if source.is_remote:
        with hold_lock(folder, source.name):
            archive, _ = fetch_archive(source, [folder])
        print(f"{source.name}: {format_bytes(archive.stat().st_size)} in {archive}")
    if settings.backbone == "resnet101":
        weights = download_weights(settings)
        copy_file(weights, folder / weights.name)
        print(f"{settings.backbone}: {format_bytes(weights.stat().st_size)} in {folder}")
    print(
        f"Serve them with  python -m http.server --directory {folder} 8000\n"
        "and start the notebooks with COURSE_MIRROR=http://ADDRESS_OF_THIS_MACHINE:8000"
    )


def main(arguments: list[str] | None = None) -> int:
    """Gets dataset and weights, says where; returns the exit code."""
    print_anything()
    parser = argparse.ArgumentParser("python -m utils.download", description=__doc__)
    parser.add_argument("--profile", help="sample, photos or full")
    parser.add_argument("--data", metavar="PATH_OR_URL", help="a folder, an archive or its URL")
    parser.add_argument("--backbone", help="resnet101 or efficientnet_lite0")
    parser.add_argument("--mirror", metavar="FOLDER", type=Path, help="only fill it, to be served")
    typed = vars(parser.parse_args(arguments))
    folder = typed.pop("mirror")
    # What is typed here wins over the environment, as nothing else does.
    os.environ |= {f"COURSE_{name.upper()}": value for name, value in typed.items() if value}
    try:
        settings = load_settings()
        if folder:
            fill_mirror(settings, folder)
            return 0
        download(settings)
        weights = download_weights(settings)
        print(f"weights   {format_bytes(weights.stat().st_size)} in {weights}")
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: run the same command again to go on where it stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
