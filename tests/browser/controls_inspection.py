"""What is done with the controls of notebook 05, and what has to come of it."""

import csv
import json
import re
from pathlib import Path

from controls import View
from lab import Notebook
from PIL import Image
from playwright.sync_api import Locator, expect

from utils.photos import make_odd_files

ENDED = "You have seen them all. Run the next cell."
ANSWER = r"^(looks like neither .*)?(cats|dogs), (over )?\d+% sure$"


def go_through_mistakes(notebook: Notebook) -> None:
    """A run to choose, and how sure a mistake has to be."""
    cell = notebook.find_cell("explore_mistakes(")
    view = View(cell)
    runs = {
        run["run"]: run["n_test"] - run["correct"]
        for run in map(read_json, notebook.home.glob("runs/*/*/run.json"))
    }
    labels = {"custom CNN": "custom_cnn", "frozen backbone": "frozen", "unfrozen": "unfrozen"}
    least = notebook.find_slider(cell, "at least this sure")
    view.expect(r"^\d+ of \d+ mistakes that are at least 50% sure: ")
    notebook.photograph("mistakes-first", cell)
    notebook.drag(least, 0)
    for label, name in labels.items():
        notebook.choose(cell, "run", label)
        sentence = f"{min(12, runs[name])} of {runs[name]} mistakes that are at least 0% sure"
        view.expect(f"^{sentence}: ", new=False)
        expect(cell.get_by_text(sentence, exact=True)).to_be_visible()
    notebook.choose(cell, "run", "custom CNN")
    notebook.drag(least, 1)
    view.expect("^0 of 0 mistakes that are at least 100% sure: none$", new=False)
    notebook.photograph("mistakes-none", cell)


def read_json(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def correct_labels(notebook: Notebook) -> None:
    """Keep, relabel, drop, back, skip; the table is written, and the loaders go by it."""
    cell = notebook.find_cell("review_labels(")
    note = cell.get_by_role("status")
    table = notebook.home / "corrections" / "sample.csv"
    first = re.compile(r"^1 of 12: labelled (cats|dogs); a head trained without it says")
    expect(note).to_have_text(first)
    labelled = first.match(note.inner_text())[1]
    notebook.photograph("labels-first", cell)
    assert not table.exists()

    notebook.click(cell, "Keep the label")
    expect(note).to_have_text(re.compile("^2 of 12: "))
    labelled = re.search("labelled (cats|dogs);", note.inner_text())[1]
    other = "dogs" if labelled == "cats" else "cats"
    notebook.choose(cell, "it is", other)
    notebook.click(cell, "Relabel")
    expect(note).to_have_text(re.compile("^3 of 12: "))
    notebook.click(cell, "Drop the picture")
    expect(note).to_have_text(re.compile("^4 of 12: "))
    notebook.click(cell, "Back")
    expect(note).to_have_text(re.compile("^3 of 12: .*; decided: drop$"))
    notebook.photograph("labels-decided", cell)
    for place in range(4, 13):
        notebook.click(cell, "Skip")
        expect(note).to_have_text(re.compile(f"^{place} of 12: "))
    notebook.click(cell, "Skip")
    expect(note).to_have_text(ENDED)
    for name in ("Keep the label", "Drop the picture", "Relabel", "Skip"):
        expect(notebook.find_button(cell, name)).to_be_disabled()
    notebook.photograph("labels-end", cell)

    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert sorted((line["decision"], line["label"]) for line in lines) == [
        ("drop", ""), ("keep", ""), ("relabel", other),
    ]  # fmt: skip
    (relabelled,) = [line["file"] for line in lines if line["decision"] == "relabel"]
    assert f"/train/{labelled}/" in f"/{relabelled}"
    head = notebook.run_cell("decisions = read_corrections(table")
    expect(head).to_contain_text("3 decisions in the table, 2 of them change something")
    before, after = (int(n) for n in re.findall(r"(\d+) pictures, valid", head.inner_text()))
    assert after == before - 1
    changed = "Corrections of training labels in corrections/sample.csv: 1 relabelled, 1 dropped."
    expect(notebook.run_cell("dataset = open_dataset(settings)")).to_contain_text(changed)
    table.unlink()  # the old labels are back
    expect(notebook.run_cell("dataset = open_dataset(settings)")).not_to_contain_text(changed)


def upload_photos(notebook: Notebook) -> None:
    """A picture, and everything that people take for one."""
    cell = notebook.find_cell("upload_photo(")
    view, alert = View(cell), cell.get_by_role("alert")
    folder = notebook.home.parent / "uploads"
    folder.mkdir(exist_ok=True)
    (picture, *_) = sorted(notebook.home.glob("datasets/*/**/valid/dogs/*.jpg"))
    view.expect(ANSWER)
    notebook.photograph("upload-first", cell)

    notebook.upload(cell, picture)
    expect_name(cell, picture)
    view.expect(ANSWER, new=False)
    answer = read_class(view)
    notebook.photograph("upload-picture", cell)
    # Each is written to a file of its own, for the browser to read.
    files = {name: folder / name for name in ("empty.jpg", "large.bmp")}
    for name, content in make_odd_files(picture).items():
        files[name] = folder / name
        files[name].write_bytes(content.getvalue())
    files["empty.jpg"].write_bytes(b"")
    with Image.open(picture) as image:
        image.resize((2048, 2048)).save(files["large.bmp"])
    assert files["large.bmp"].stat().st_size > 12_000_000

    for name in ("rotated.jpg", "cmyk.jpg", "moving.gif", "large.bmp"):
        notebook.upload(cell, files[name])
        expect_name(cell, files[name])
        view.expect(ANSWER, new=False)
        assert read_class(view) == answer, name
        notebook.photograph(f"upload-{files[name].stem}", cell)
    sentences = {
        "huge.png": "huge.png has more than 100 million pixels: make it smaller first.",
        "letter.jpg": "letter.jpg is no picture of a kind the course reads (",
        "empty.jpg": "empty.jpg is empty: ",
        "cut.jpg": "cut.jpg cannot be read as a picture: ",
    }
    for name, sentence in sentences.items():
        notebook.upload(cell, files[name])
        expect_name(cell, files[name])
        expect(alert).to_contain_text(sentence)
        expect(view.picture).to_have_count(0)  # no answer of an earlier one beside it
        notebook.photograph(f"upload-{files[name].stem}", cell)
    notebook.upload(cell, picture)  # after all of these it still works
    expect_name(cell, picture)
    view.expect(ANSWER, new=False)


def expect_name(cell: Locator, path: Path) -> None:
    """Return when the page says that this file is what it shows."""
    name = re.compile(rf"^{re.escape(path.name)}, [\d.]+ (bytes|kB|MB)$")
    expect(cell.get_by_role("status")).to_have_text(name)


def read_class(view: View) -> str:
    """The class that the answer names."""
    return re.search("(cats|dogs), (over )?\\d+% sure", view.picture.get_attribute("alt"))[1]
