"""Which folders are parts, which are classes: the layouts that people's datasets come in."""

import contextlib
import hashlib
import os
import re
import unicodedata
from collections import Counter, defaultdict, namedtuple
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from utils.download.archives import ARCHIVES, is_hidden
from utils.files import count
from utils.settings import CourseError

# What torchvision's ImageFolder opens, and what else images are called.
ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
OTHER_ENDINGS = ".jfif .jpe .pjpeg .pjp .gif .heic .heif .avif .jp2 .j2k .pnm .pbm .pfm".split()
STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
TEXTS = (*".txt .csv .json .xml .md .yaml .html .py .ipynb .pdf".split(), *ARCHIVES)
DEEPEST, MOST_FILES = 20, 1_000_000  # nobody means to search a whole disk
SIDE_FOLDERS = ("annotations", "labels", "masks")  # what other programs want beside "images"
WORDS = {
    "train": "train|training|trn",
    "valid": "val|valid|validation|validate|dev|eval",
    "test": "test|testing|tst",
    "unlabelled": "unlabell?ed|unsup|pred|predict|predictions?",
}
# What else stands in the names of parts, behind these words: train_images is one, train_station no.
NEUTRAL = "set|data|dataset|images?|imgs?|photos?|pictures?|pics?|folder|files?|split|batch|part|v"
NEUTRAL += "|all|new|final|raw|clean(ed)?|small|full|resized?|cropped|aug|augmented|jpe?g|png|[xtz]"
# Beginnings of file names that say nothing of what is in the image.
CAMERAS = r"(img|image|dsc[nf]?|pxl|mvimg|photo|pic|picture|screenshot|whatsapp.*|download|frame)?"

Classes = dict[str, list[Path]]
Row = namedtuple("Row", "part name file")  # an image: its part, its class's name, its path


@dataclass
class Folder:
    """What a person sees in a folder, in alphabetical order."""

    path: Path
    name: str
    images: list[Path] = field(default_factory=list)  # by their names
    others: list[Path] = field(default_factory=list)
    folders: list["Folder"] = field(default_factory=list)

    @cached_property
    def all_images(self) -> list[Path]:
        return self.images + [path for folder in self.folders for path in folder.all_images]

    @cached_property
    def all_others(self) -> list[Path]:
        return self.others + [path for folder in self.folders for path in folder.all_others]

    @property
    def all_odd(self) -> list[Path]:
        """What is no image, and neither an archive nor a text."""
        return [file for file in self.all_others if not file.name.lower().endswith(TEXTS)]

    @cached_property
    def full(self) -> list["Folder"]:
        """The folders with images in them."""
        return [folder for folder in self.folders if folder.all_images]

    @property
    def only(self) -> "Folder | None":
        """The folder that all images lie in, but for a stray one beside it."""
        is_lone = len(self.full) == 1 and 10 * len(self.images) < len(self.all_images)
        return self.full[0] if is_lone else None


@dataclass
class Layout:
    """What was taken for what: the classes of each part; no "valid" where there is no split."""

    parts: dict[str, Classes]
    taken: list[str]
    ignored: list[Folder]

    @property
    def rows(self) -> list[Row]:
        parts = [(part, *each) for part, classes in self.parts.items() for each in classes.items()]
        return [Row(part, name, file) for part, name, files in parts for file in files]


def scan(path: Path, excluded: Path, depth: int = 0) -> Folder:
    """The visible files and folders at and below `path`, without the folder `excluded`.

    Raises CourseError if it cannot be read, or holds more than anybody's dataset.
    """
    found = Folder(path, path.name)
    try:
        listed = sorted(entry for entry in os.listdir(path) if not is_hidden(entry))
    except OSError as error:
        raise CourseError(
            f"The folder {path} cannot be read ({error.strerror}): allow yourself to read it, or "
            "set COURSE_DATA to another one."
        ) from error
    if len(listed) > MOST_FILES or depth > DEEPEST:
        raise CourseError(f"The folder {path} has too much in it: set COURSE_DATA to another.")
    here = Path(os.path.realpath(path))
    sides = SIDE_FOLDERS if "images" in map(str.lower, listed) else ()
    for below in (path / name for name in listed):
        real = Path(os.path.realpath(below))
        if not real.is_dir():
            (found.images if _is_image(below) else found.others).append(below)
        elif below.name.lower() in sides:
            found.others.append(below)
        elif real not in (excluded, here, *here.parents):
            try:
                found.folders.append(scan(below, excluded, depth + 1))
            except CourseError:  # named, at the end, among what was left out
                found.others.append(below)
    return found


def _is_image(path: Path) -> bool:
    """Whether a file calls itself an image, or has no telling name and begins like one."""
    ending = path.suffix.lower()
    if ending in (*ENDINGS, *OTHER_ENDINGS):
        return path.is_file() or path.is_symlink()  # one that leads nowhere is named later
    if not path.is_file() or path.name.lower().endswith(TEXTS):
        return False
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(8).startswith(STARTS)
    return False


def fingerprint(folder: Folder) -> str:
    """A name for exactly these files: it changes with any name, size or date."""
    digest = hashlib.sha256()
    for path in folder.all_images + folder.all_others:
        status = path.stat() if path.exists() else path.lstat()
        line = f"{path.relative_to(folder.path)} {status.st_size} {status.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def find_layout(root: Folder, address: str) -> Layout:
    """The shallowest folder with a train part, or else the one with class folders.

    Raises CourseError with what was found if neither is there, or either might be meant.
    """
    level = [root]
    for _ in range(5):
        for folder in level:
            if layout := _read_parts(folder) or _read_parts(_put_parts_first(folder)):
                return layout
        level = [child for folder in level for child in folder.full]
    folder = root
    while folder.only:
        folder = folder.only
    # Beside class folders "test" holds images to be named; with one other alone it is a class.
    unnamed = [child for child in folder.full if find_part(child.name, True) not in (None, "train")]
    if len(folder.full) - len(unnamed) < 2 or any(child.full for child in unnamed):
        unnamed = []
    kept = [child for child in folder.full if child not in unnamed]
    taken: list[str] = []
    classes = merge({}, read_classes(replace(folder, folders=kept)) or {}, taken)
    # Ann/cats, Ann/dogs, Bob/cats, Bob/dogs: are Ann and Bob the classes, or cats and dogs?
    below = [{simplify(inner.name) for inner in child.full} for child in kept]
    unclear = below and len(set.intersection(*below)) > 1
    if len(classes) < 2 or unclear or any(find_part(child.name) and child.full for child in kept):
        found = _describe_found(root)
        raise CourseError(
            f"{address} is in no layout that the course knows, it has {found}: make it "
            "train/<class>/*.jpg and valid/<class>/*.jpg, or one folder of images for each class, "
            "<class>/*.jpg, of at least two classes."
        )
    where = f"the folders of {folder.name}" if kept else "the beginnings of the file names"
    taken.insert(0, f"{where} → classes")
    return Layout({"train": classes}, taken, [f for f in folder.folders if f not in kept])


def find_part(name: str, is_bare: bool = False) -> str | None:
    """Which part it is: "train" for Training, seg_train, train2017; `is_bare`: not blood_test."""
    words = [word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", name)]
    for place, word in enumerate(words):
        others = words[:place] * is_bare + words[place + 1 :]
        for part, known in WORDS.items():
            if re.fullmatch(f"({known})({NEUTRAL})?", word):
                return part if all(re.fullmatch(NEUTRAL, each) for each in others) else None
    return None


def _put_parts_first(folder: Folder) -> Folder:
    """cats/train, dogs/train, … and train_cats, test_cats, … as train/cats, test/cats, …"""
    found = [(below.name, child.name, below) for child in folder.full for below in child.full]
    if not found:
        words = r"([A-Z]?[a-z]+|[A-Z]*)[\W_]*(.*)"
        found = [(*re.findall(words, each.name)[0], each) for each in folder.full]
    parts: dict[str, Folder] = {}
    for word, name, below in found:
        part = name and not below.full and find_part(word) or ""
        parts.setdefault(part, Folder(folder.path, part)).folders.append(replace(below, name=name))
    whole = [] if "" in parts or len(parts) < 2 else [*parts.values()]
    return Folder(folder.path, folder.name, folders=whole)


def _read_parts(folder: Folder) -> Layout | None:
    """The layout of a folder with a train part; others in it that have no classes are ignored."""
    roles = {"train": "train", "valid": "valid", "test": "valid"}
    found: dict[str, tuple[Folder, Classes]] = {}
    known: set[str] = set()
    for part in roles:
        for child in sorted(folder.full, key=lambda child: len(child.name)):
            classes = read_classes(child) if find_part(child.name) == part else None
            names = {simplify(name) for name in classes or {}}
            is_part = len(names) > 1 if part == "train" else names & known
            if part not in found and classes and is_part:
                found[part], known = (child, classes), known | names
    others = [child for child in folder.full if not find_part(child.name)]
    if "train" not in found or (len(found) == 1 and others and not found["train"][0].full):
        return None  # the train of bus, train and tram
    if len(found) == 3:
        roles["valid"] = "train"  # the course takes its own share of it all to validate on
    parts: dict[str, Classes] = {"train": {}}
    taken = [f"{child.name} → {roles[part]}" for part, (child, _) in found.items()]
    for part, (_, classes) in found.items():
        before = parts.get(roles[part]) or {name: [] for name in parts["train"]}
        parts[roles[part]] = merge(before, classes, taken)
    used = [child for child, _ in found.values()]
    taken = [line for line in taken if line not in ("train → train", "valid → valid")]
    return Layout(parts, taken, [child for child in folder.full if child not in used])


def read_classes(folder: Folder) -> Classes | None:
    """The classes of a part: its folders, or else the beginnings of its file names."""
    part = find_part(folder.name)
    while folder.only and (folder.only.full or part and find_part(folder.only.name) == part):
        folder = folder.only
    for place in (folder, folder.only):
        if place and (named := _read_names(place)):
            return named
    classes: Classes = defaultdict(list)
    for child in folder.folders if folder.full else ():
        classes[child.name] += child.all_images
    return classes or None


def _read_names(folder: Folder) -> Classes | None:
    named: Classes = defaultdict(list)
    for path in folder.images:
        name = re.sub(r"^\d+[\W_]+|[\W_]*\d+[\W_]*$", "", path.stem)
        named["" if re.fullmatch(CAMERAS, name, re.IGNORECASE) else name].append(path)
    is_flat = len(named) > 1 and "" not in named and len(folder.images) >= 2 * len(named)
    return dict(named) if is_flat and 2 * len(folder.images) > len(folder.all_images) else None


def simplify(name: str) -> str:
    """The same for names that some disks, or people, cannot tell apart: Cat and cat."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def merge(classes: Classes, more: Classes, taken: list[str]) -> Classes:
    """Both, under the names of the first where they are the same in all but capitals; says so."""
    names = {simplify(name): name for name in classes}
    merged = {name: list(files) for name, files in classes.items()}
    for name, files in more.items():
        first = names.setdefault(simplify(name), name)
        merged.setdefault(first, []).extend(files)
        if first != name:
            taken.append(f"{name} and {first} → one class, {first}")
    return merged


def _describe_found(root: Folder) -> str:
    counts = Counter(path.parent.relative_to(root.path).as_posix() for path in root.all_images)
    shown = [f"{'itself' if f == '.' else f} ({count(n, 'image')})" for f, n in counts.items()]
    if len(shown) > 6:
        shown[5:] = [f"{len(shown) - 5} more folders"]
    return ", ".join(shown) or "no images"
