"""What is done with the controls of the notebooks, and what has to come of it."""

import json
import re
from itertools import pairwise
from pathlib import Path

from lab import Notebook, now
from PIL import Image
from playwright.sync_api import Locator, expect

# Asked of the cell, which stays: an image may be replaced by the next one between two questions.
IS_WHOLE = """cell => {
    const image = cell.querySelector('.widget-html img');
    return image.getBoundingClientRect().right
        <= image.closest('.jp-OutputArea-output').getBoundingClientRect().right + 1;
}"""


class View:
    """The image of a control: it has to be another one after each move."""

    def __init__(self, cell: Locator) -> None:
        self.cell = cell
        self.image = cell.locator(".widget-html img")
        self.seen: set[str] = set()
        self.last = ""

    def expect(self, description: str, new: bool = True) -> None:
        """Return when the image's description matches; its pixels must be new, too."""
        if new:  # the kernel has answered before the page shows what it answered
            expect(self.image).not_to_have_attribute("src", self.last)
        expect(self.image).to_have_attribute("alt", re.compile(description))
        pixels = self.last = self.image.get_attribute("src")
        assert not new or pixels not in self.seen, f"the same image as before: {description}"
        self.seen.add(pixels)
        width = self.image.evaluate("image => image.decode().then(() => image.width)")
        assert width > 100  # it can be shown
        assert self.cell.evaluate(IS_WHOLE), f"cut off at the right: {description}"


def vary_images(notebook: Notebook) -> None:
    """Notebook 01: five sliders; the views change with each."""
    cell = notebook.find_cell("explore_augmentation(")
    view = View(cell)
    view.expect("^Crops from 50 % of the area, flip 50 %, rotation up to 15°, brightness ± 20 %")
    notebook.photograph("augmentation-first", cell)
    image = notebook.find_slider(cell, "image")
    notebook.press(image, "ArrowRight")
    expect(image.locator(".widget-readout")).to_have_text("1")
    notebook.kernel.wait_until_idle()
    view.expect("^Crops from 50 %")
    moves = {
        "rotation": (1, "rotation up to 180°"),
        "smallest crop": (0, "^Crops from 5 % of the area"),
        "flip": (1, "flip 100 %"),
        "brightness": (1, "brightness ± 90 %"),
    }
    for label, (place, description) in moves.items():
        notebook.drag(notebook.find_slider(cell, label), place)
        view.expect(description)
    notebook.photograph("augmentation-strongest", cell)


def turn_kernel(notebook: Notebook) -> None:
    """Notebook 02: a list of kernels, and nine sliders for one of one's own."""
    cell = notebook.find_cell("explore_kernel(")
    view = View(cell)
    names = [f"row {row}, column {column}" for row in (1, 2, 3) for column in (1, 2, 3)]
    sliders = [notebook.find_slider(cell, name) for name in names]
    view.expect("the kernel 1.0, 2.0, 1.0; 0.0, 0.0, 0.0; -1.0, -2.0, -1.0, and")
    notebook.choose(cell, "start from", "D")
    view.expect("the kernel 0.0, 0.0, 0.0; 0.0, 1.0, 0.0; 0.0, 0.0, 0.0, and")
    notebook.choose(cell, "start from", "E")
    view.expect("the kernel 0.0, -1.0, 0.0; -1.0, 5.0, -1.0; 0.0, -1.0, 0.0, and")
    notebook.photograph("kernel-sharpening", cell)
    notebook.choose(cell, "start from", "C")
    numbers = [1.0, 0.0, -1.0, 2.0, 0.0, -2.0, 1.0, 0.0, -1.0]
    for place, slider in enumerate(sliders):
        numbers[place] = 5.0 if place % 2 else -5.0
        notebook.drag(slider, place % 2)
        view.expect("the kernel " + "[,;] ".join(map(str, numbers)))
    notebook.photograph("kernel-your-own", cell)


def use_few_images(notebook: Notebook) -> None:
    """Notebook 03: from no image per class to all of them, and others of them."""
    cell = notebook.find_cell("explore_few_images(")
    view = View(cell)
    slider = notebook.find_slider(cell, "images per class")
    readout, handle = slider.locator(".widget-readout"), slider.locator(".noUi-handle")
    last = int(float(handle.get_attribute("aria-valuemax")))
    assert last > 10
    notebook.photograph("few-images-first", cell)
    stops = []
    with notebook.hold(slider) as move:  # stop by stop, the handle held all the way
        for place in range(last + 1):
            move(place / last)
            expect(handle).to_have_attribute("aria-valuenow", re.compile(rf"^{place}(\.0)?$"))
            stops.append(int(readout.inner_text()))
            notebook.kernel.wait_until_idle()
            view.expect(rf"with {stops[-1]:,} images? per class", new=place > 0)
    assert stops[0] == 0 and all(low < high for low, high in pairwise(stops))

    # Other images, of which nothing is drawn yet: fast, there and back and there again.
    notebook.click(cell, "draw again")
    notebook.drag(slider, 0, 1, 0, 1, 0.5, 0.05, steps=2 * last)
    released = now()
    expect(readout).to_have_text("1")
    notebook.kernel.wait_until_idle()
    view.expect("with 1 image per class", new=False)
    notebook.photograph("few-images-others", cell)
    assert notebook.kernel.count_moves(released) <= 2, "redraws have piled up"


def warm_up(notebook: Notebook) -> None:
    """Notebook 07: the highest rate of a training and its warm-up; the curves follow."""
    cell = notebook.find_cell("explore(draw_training")
    view = View(cell)
    view.expect("^Peak rate 0.001, warm-up 20%")
    notebook.drag(notebook.find_slider(cell, "peak rate"), 1)
    view.expect("^Peak rate 0.3, warm-up 20%")
    notebook.drag(notebook.find_slider(cell, "warm up"), 0)
    view.expect("^Peak rate 0.3, warm-up 0%")
    notebook.photograph("warm-up-none", cell)


def damage_images(notebook: Notebook) -> None:
    """Notebook 08: a kind of damage and its strength; images and answers follow."""
    cell = notebook.find_cell("explore(show_damage")
    view = View(cell)
    view.expect("^noise, strength 2 of 3")
    notebook.choose(cell, "kind", "small images")
    view.expect("^small images, strength 2 of 3")
    for place, strength in ((1, 3), (0, 0)):
        notebook.drag(notebook.find_slider(cell, "strength"), place)
        view.expect(f"^small images, strength {strength} of 3")
    notebook.photograph("damage-none", cell)


def rent_gpus(notebook: Notebook) -> None:
    """Notebook 09: four sliders and two lists; the prediction follows each."""
    cell = notebook.find_cell("explore_scaling(")
    view = View(cell)
    view.expect(r"million parameters, 32 images per GPU")
    notebook.photograph("scaling-first", cell)
    for control in cell.locator(".widget-slider").all():
        before = view.image.get_attribute("src")
        notebook.drag(control, 1)
        expect(view.image).not_to_have_attribute("src", before)
    for field in cell.locator(".widget-dropdown select").all():
        field.evaluate("field => { field.dataset.operated = 'yes'; }")
        before = view.image.get_attribute("src")
        field.select_option(index=field.locator("option").count() - 1)
        expect(view.image).not_to_have_attribute("src", before)
    notebook.photograph("scaling-large", cell)


def leaf_through_maps(notebook: Notebook) -> None:
    """Notebook 06: an image and a layer; the maps follow both."""
    cell = notebook.find_cell("explore(draw_maps")
    view = View(cell)
    view.expect("^custom CNN, conv1: maps of 222 × 222")
    notebook.photograph("maps-first", cell)
    notebook.drag(notebook.find_slider(cell, "image"), 1)
    view.expect("^custom CNN, conv1: maps of")
    sides = {"custom CNN, conv3": 52, "backbone, stem": 112, "backbone, stage 4": 7}
    for layer, side in sides.items():
        notebook.choose(cell, "layer", layer)
        view.expect(f"^{layer}: maps of {side} × {side}")
    notebook.photograph("maps-last", cell)


def go_through_mistakes(notebook: Notebook) -> None:
    """Notebook 05: a run to choose, and how confident a mistake has to be."""
    cell = notebook.find_cell("explore_mistakes(")
    view = View(cell)
    wrong = {
        run["run"]: run["n_test"] - run["correct"]
        for run in (
            json.loads(p.read_text("utf-8")) for p in notebook.home.glob("runs/*/*/run.json")
        )
    }
    labels = {"custom CNN": "custom_cnn", "frozen backbone": "frozen", "unfrozen": "unfrozen"}
    lowest = notebook.find_slider(cell, "lowest confidence")
    view.expect(r"^custom CNN: \d+ of \d+ wrong and at least 50 % confident")
    notebook.photograph("mistakes-first", cell)
    notebook.drag(lowest, 0)
    for label, name in labels.items():
        notebook.choose(cell, "run", label)
        view.expect(rf"^{label}: {wrong[name]} of \d+ wrong and at least 0 % confident", new=False)
    notebook.choose(cell, "run", "custom CNN")
    notebook.drag(lowest, 1)
    view.expect(r"^custom CNN: 0 of \d+ wrong and at least 100 % confident", new=False)
    notebook.photograph("mistakes-none", cell)


def review_labels(notebook: Notebook) -> None:
    """Notebook 05: keep, change, drop, back, skip; the next cell goes by the decisions."""
    cell = notebook.find_cell("review_labels(")
    note = cell.get_by_role("status")
    expect(note).to_have_text(re.compile(r"^1 of \d+"))
    last = int(re.search(r"of (\d+)", note.inner_text())[1])
    notebook.photograph("labels-first", cell)
    notebook.click(cell, "Keep")
    expect(note).to_have_text(re.compile("^2 of "))
    notebook.choose(cell, "it is", "dog")
    notebook.click(cell, "Change the label")
    expect(note).to_have_text(re.compile("^3 of "))
    notebook.click(cell, "Drop")
    expect(note).to_have_text(re.compile("^4 of "))
    notebook.click(cell, "Back")
    expect(note).to_have_text(re.compile("^3 of .*decided: drop$"))
    for place in range(4, last + 1):
        notebook.click(cell, "Skip")
        expect(note).to_have_text(re.compile(f"^{place} of "))
    notebook.click(cell, "Skip")
    expect(note).to_have_text(re.compile("^You have seen them all: 3 decided"))
    for name in ("Keep", "Drop", "Change the label", "Skip"):
        expect(notebook.find_button(cell, name)).to_be_disabled()
    notebook.photograph("labels-end", cell)


def upload_photos(notebook: Notebook) -> None:
    """Notebook 05: an image, and what is none."""
    cell = notebook.find_cell("upload_image(ask")
    view, alert = View(cell), cell.get_by_role("alert")
    status = cell.get_by_role("status")
    folder = notebook.home.parent / "uploads"
    folder.mkdir(exist_ok=True)
    (image, *_) = sorted(notebook.home.glob("datasets/*/**/valid/dogs/*.jpg"))
    view.expect("cat|dog")
    notebook.photograph("upload-first", cell)
    notebook.upload(cell, image)
    expect(status).to_have_text(re.compile(rf"^{re.escape(image.name)}, "))
    view.expect("cat|dog")
    notebook.photograph("upload-image", cell)

    large, cut = folder / "large.bmp", folder / "cut.jpg"
    with Image.open(image) as opened:
        opened.resize((2048, 2048)).save(large)  # more than the 10 MB that Jupyter lets through
    cut.write_bytes(image.read_bytes()[:2000])
    (folder / "letter.jpg").write_text("Dear learner")
    (folder / "empty.jpg").write_bytes(b"")
    notebook.upload(cell, large)
    expect(status).to_have_text(re.compile("^large.bmp, "))
    view.expect("cat|dog")
    for name in ("letter.jpg", "empty.jpg", "cut.jpg"):
        notebook.upload(cell, folder / name)
        expect(status).to_have_text(re.compile(f"^{name}, "))
        expect(alert).to_contain_text(name)
        expect(view.image).to_have_count(0)  # no answer of an earlier one beside it
    notebook.upload(cell, Path(image))  # after all of these it still works
    expect(status).to_have_text(re.compile(rf"^{re.escape(image.name)}, "))
    view.expect("cat|dog", new=False)


def judge_photo(notebook: Notebook) -> None:
    """Notebook 05: the same button, and all that is known of the answer."""
    cell = notebook.find_cell("upload_image(judge")
    view = View(cell)
    view.expect("cat|dog")
    (image, *_) = sorted(notebook.home.glob("datasets/*/**/valid/dogs/*.jpg"))
    notebook.upload(cell, image)
    view.expect("cat|dog")
    notebook.photograph("judgement", cell)
