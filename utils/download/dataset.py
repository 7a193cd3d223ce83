"""From a source to a tree that plain ImageFolder reads, there whole or not at all."""

import hashlib
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from utils import files
from utils.download.archives import ARCHIVES, DamagedError, unpack
from utils.download.layouts import Folder, fingerprint, scan
from utils.download.prepare import format_counts, prepare_tree
from utils.download.sources import Source, find_source
from utils.download.transfer import AddressError, fetch_file
from utils.settings import ROOT, CourseError, Settings

STAMP = ".complete.json"
FORM = 3  # of the tree: with another number all are made anew


def download(settings: Settings) -> Path:
    """The folder with train/<class>/ and valid/<class>/ (the test set), ready for ImageFolder.

    A public dataset is downloaded, checked and unpacked below `settings.home`, a person's own
    folder, archive or URL prepared there: once, then it is found again, in `settings.shared`
    first. Prints a table of classes, of what was taken for what, and of what was left out.
    Raises CourseError where it cannot be had; running again goes on where it stopped.
    """
    source = find_source(settings)
    place = Path(source.addresses[0])
    folder = scan(place, settings.home) if not source.is_remote and place.is_dir() else None
    if folder:
        made_from = fingerprint(folder)
    elif source.is_remote or source.counts:
        made_from = f"{source.size} {source.sha256}"
    else:
        made_from = f"{place.stat().st_size} {place.stat().st_mtime_ns}"
    places = files.find_places(settings, "datasets", source.name)
    for tree in places:  # one that is there needs no lock, and `home` may be read-only
        if _show(tree, source, made_from):
            return tree
    with files.hold_lock(settings.home / "downloads", source.name):
        if not _show(tree, source, made_from):  # else another process has made it meanwhile
            _make(settings, source, folder, made_from)
            _show(tree, source, made_from)
    return tree


def _show(tree: Path, source: Source, made_from: str) -> bool:
    """Print the table of a tree if it is whole and made from what is asked for, in this form."""
    stamp = files.read_json(tree / STAMP)
    if stamp.get("made_from") != made_from or stamp.get("form") != FORM:
        return False
    shown = tree.relative_to(ROOT) if tree.is_relative_to(ROOT) else tree
    lines = [f"dataset   {source.name}: {source.title}", f"folder    {shown}", *stamp["table"]]
    # A name that is no text in any encoding must not make the table itself fail to print.
    print("\n".join(lines).encode("utf-8", "replace").decode())
    return True


def _make(settings: Settings, source: Source, folder: Folder | None, made_from: str) -> None:
    """Make the tree in a hidden folder beside it; it takes its name at the very end."""
    tree = settings.home / "datasets" / source.name
    hidden = f".{tree.name}.preparing-"
    with files.explain_write_errors(tree.parent):
        tree.parent.mkdir(parents=True, exist_ok=True)
        for leftover in tree.parent.glob(f"{hidden}*"):  # of a killed process
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(
            "", hidden, tree.parent, ignore_cleanup_errors=True
        ) as name:
            scratch = Path(name)
            new, unpacked = scratch / "tree", scratch / "unpacked"
            kind, lost = "folder" if folder else "archive", list[str]()
            if folder:
                origin, is_ours = folder.path, False
            else:
                places = files.find_places(settings, "downloads")
                origin, is_ours = fetch_archive(source, places)
                lost = _unpack(source, origin, unpacked, places[-1])
            if source.counts:
                table = _arrange(source, origin, unpacked, new)
            else:
                folder = _open_inner(folder or scan(unpacked, tree), scratch, origin, lost)
                address = f"The {kind} {origin}"
                lost_files = files.count(len(lost), "file")
                address += f" ({lost_files} of it cannot be unpacked)" * bool(lost)
                table = prepare_tree(folder, new, address, lost, settings.validation_share)
            files.write_json(new / STAMP, {"form": FORM, "made_from": made_from, "table": table})
            if tree.exists():
                tree.rename(scratch / "old")
            new.rename(tree)
            if is_ours:
                origin.unlink()  # the images are what is needed


def fetch_archive(source: Source, places: list[Path]) -> tuple[Path, bool]:
    """The path of a source's archive, complete and checked, and whether it was downloaded now.

    A remote one may lie in one of `places` already; it is downloaded to the last of them. The
    caller holds a lock. Raises CourseError where it cannot be had.
    """
    found = [place / source.file_name for place in places] if source.is_remote else []
    for archive in found or [Path(source.addresses[0])]:
        if archive.exists() or not source.is_remote:
            if fault := _find_fault(archive, source):
                raise CourseError(f"The file {archive} {fault}: put a good copy in its place.")
            return archive, False
    try:
        fetch_file(source.addresses, archive, source.size, lambda file: _find_fault(file, source))
    except AddressError as error:
        raise CourseError(
            f"The dataset {source.name} could not be downloaded ({error}): set COURSE_DATA to "
            "another address of the archive (or COURSE_MIRROR to that of a folder with it), or "
            "choose COURSE_PROFILE=sample, which needs no network, or put the file by hand at "
            f"{archive}, and run this again."
        ) from error
    return archive, True


def _find_fault(archive: Path, source: Source) -> str | None:
    """What is wrong with a complete file, as the end of a sentence, or None; cheapest first."""
    if not archive.exists():
        return "is missing"
    if source.size not in (None, size := archive.stat().st_size):
        return f"has {size:,} bytes instead of {source.size:,}"
    with archive.open("rb") as file:
        start = hashlib.md5(file.read(1 << 20), usedforsecurity=False).hexdigest()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest() if source.sha256 else None
    if start != (source.md5_start or start) or digest != source.sha256:
        return f"has the wrong checksum ({(digest or start)[:8]}…)"
    return None


def _unpack(source: Source, archive: Path, folder: Path, downloads: Path) -> list[str]:
    def is_wanted(parts: list[str]) -> bool:
        # Of public ones neither test1/, sample/ nor models/; the sample has a table beside it.
        named = parts[1:2] in (["train"], ["valid"], ["validation"]) or parts[-1] == "collars.csv"
        return named or not source.counts

    try:
        return unpack(archive, folder, is_wanted)
    except DamagedError as error:
        if archive.parent != downloads:
            raise
        aside = files.put_aside(archive, "damaged").name
        raise CourseError(
            f"{error} This one is kept as {aside}: run the same again to download another."
        ) from error


def _arrange(source: Source, archive: Path, unpacked: Path, tree: Path) -> list[str]:
    """Rename what a public archive holds to the tree, if its images are as many as published."""
    assert source.counts is not None
    top = next(unpacked.iterdir(), unpacked)
    if (top / "validation").is_dir():
        (top / "validation").rename(top / "valid")
    parts = dict(zip(("train", "valid"), source.counts, strict=True))
    expected = {part: {"cats": number, "dogs": number} for part, number in parts.items()}
    found = {part: sorted(file.parent.name for file in top.glob(f"{part}/*/*")) for part in parts}
    counts = {part: dict(Counter(names)) for part, names in found.items()}
    if counts != expected:
        raise CourseError(
            f"The archive {archive} holds {counts} images instead of {expected}: put a good copy "
            "in its place."
        )
    top.rename(tree)
    return [*format_counts(counts), f"licence   {source.licence}"]


def _open_inner(folder: Folder, scratch: Path, origin: Path, lost: list[str]) -> Folder:
    """The folder, or what is in its archives if it has no images beside them."""
    for depth in ("inner", "innermost", "deepest"):
        archives = [file for file in folder.all_others if file.name.lower().endswith(ARCHIVES)]
        if folder.all_images or not archives:
            break
        for number, archive in enumerate(archives):
            target = scratch / depth / archive.name.partition(".")[0]
            target = target.with_name(f"{target.name} {number}") if target.exists() else target
            try:
                lost += unpack(archive, target)
            except CourseError as error:
                raise CourseError(str(error).replace(str(folder.path), str(origin))) from error
        folder = scan(scratch / depth, scratch)
    return folder
