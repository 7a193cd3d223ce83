"""The images both sides of a comparison are given, as folders that `ImageFolder` reads."""

import hashlib
import os
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from PIL import Image

from tools.benchmarks.runner import ROOT
from utils.download import download
from utils.settings import load_settings

DRAWINGS = ROOT / "data" / "dogscats-sample.tgz"
PHONE = (4000, 3000)  # pixels
PHOTOS = ROOT.parent / "shared" / "photos" / "dogscats-photos.tgz"


@dataclass(frozen=True)
class Material:
    """Where images are, and where there is room for more."""

    home: Path
    drawings: Path  # train/ and valid/
    photos: Path | None

    def take(self, count: int) -> str:
        """A folder `<class>/…` with `count` drawings, half of them of each class.

        More than there are: the same ones again under other names. What an image costs does not
        depend on what it shows.
        """
        folder = self.home / f"drawings-{count}"
        if not folder.exists():
            for name in ("cats", "dogs"):
                files = sorted(self.drawings.glob(f"*/{name}/*.jpg"))
                (folder / name).mkdir(parents=True)
                for number in range(count // 2):
                    shutil.copy(files[number % len(files)], folder / name / f"{number:05d}.jpg")
        return str(folder)

    def enlarge(self, count: int) -> str:
        """As `take`, with as many pixels as a phone's photographs have."""
        folder = self.home / f"large-{count}"
        shutil.copytree(self.take(count), folder)
        for file in folder.glob("*/*.jpg"):
            with Image.open(file) as image:
                large = image.resize(PHONE)
            large.save(file, quality=90)
        return str(folder)


def hash_inputs() -> str:
    """The beginning of the SHA-256 of the drawings' archive, and of the photographs' if there."""
    found = hashlib.sha256()
    for path in filter(Path.is_file, (DRAWINGS, PHOTOS)):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def prepare_material(home: Path) -> Material:
    """Unpack the drawings, and the photographs if they lie beside the repository."""
    for name in [name for name in os.environ if name.startswith("COURSE_")]:
        del os.environ[name]  # the caller's settings are not what is measured
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # bars among the rows
        drawings = download(load_settings(profile="sample", home=str(home)))
        photos = None
        if PHOTOS.is_file():
            photos = download(load_settings(profile="sample", data=str(PHOTOS), home=str(home)))
    return Material(home, drawings, photos)
