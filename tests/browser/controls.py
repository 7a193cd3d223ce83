"""What is done with the controls of all notebooks but 05, and what has to come of it."""

import re
from itertools import pairwise

from lab import Notebook, now
from playwright.sync_api import Locator, expect

# Asked of the cell, which stays: a picture may be replaced by the next one between two questions.
IS_WHOLE = """cell => {
    const picture = cell.querySelector('.widget-html img');
    return picture.getBoundingClientRect().right
        <= picture.closest('.jp-OutputArea-output').getBoundingClientRect().right + 1;
}"""


class View:
    """The picture of a control: it has to be another one after each move."""

    def __init__(self, cell: Locator) -> None:
        self.cell = cell
        self.picture = cell.locator(".widget-html img")
        self.seen: set[str] = set()

    def expect(self, description: str, new: bool = True) -> None:
        """Return when the picture's description matches; its pixels must be new, too."""
        expect(self.picture).to_have_attribute("alt", re.compile(description))
        pixels = self.picture.get_attribute("src")
        assert not new or pixels not in self.seen, f"the same picture as before: {description}"
        self.seen.add(pixels)
        width = self.picture.evaluate("picture => picture.decode().then(() => picture.width)")
        assert width > 100  # it can be shown
        assert self.cell.evaluate(IS_WHOLE), f"cut off at the right: {description}"


def vary_pictures(notebook: Notebook) -> None:
    """Notebook 01: five sliders; the views change with each."""
    cell = notebook.find_cell("explore_augmentation(")
    view = View(cell)
    view.expect("^Picture 0 and eight random views: .* up to 15 degrees")
    notebook.photograph("augmentation-first", cell)
    picture = notebook.find_slider(cell, "picture")
    notebook.press(picture, "ArrowRight")
    view.expect("^Picture 1 and eight random views")
    moves = {
        "rotation (°)": (1, "rotation up to 90 degrees"),
        "smallest crop": (0, "crops from 10% of the side"),
        "flip probability": (1, "mirrored 100% of the times"),
        "brightness (±)": (1, "brightness ± 90%$"),
    }
    for label, (place, description) in moves.items():
        notebook.drag(notebook.find_slider(cell, label), place)
        view.expect(description)
    notebook.photograph("augmentation-strongest", cell)
    last = int(float(picture.locator(".noUi-handle").get_attribute("aria-valuemax")))
    notebook.drag(picture, 1)
    view.expect(f"^Picture {last} and .* 90 degrees, crops from 10%.* 100% .* 90%$")
    notebook.photograph("augmentation-last-picture", cell)


def turn_kernel(notebook: Notebook) -> None:
    """Notebook 02: a list of kernels, and nine sliders for one of one's own."""
    cell = notebook.find_cell("explore_kernel(")
    view = View(cell)
    names = [f"row {row}, column {column}" for row in (1, 2, 3) for column in (1, 2, 3)]
    sliders = [notebook.find_slider(cell, name) for name in names]
    view.expect("^A picture, the kernel 1.0, 2.0, 1.0; 0.0, 0.0, 0.0; -1.0, -2.0, -1.0, and")
    notebook.choose(cell, "start from", "D")
    view.expect("the kernel 0.0, 0.0, 0.0; 0.0, 1.0, 0.0; 0.0, 0.0, 0.0, and")
    expect(sliders[4].locator(".widget-readout")).to_have_text("1.0")
    notebook.choose(cell, "start from", "E")
    view.expect("the kernel 0.0, -1.0, 0.0; -1.0, 5.0, -1.0; 0.0, -1.0, 0.0, and")
    notebook.photograph("kernel-sharpening", cell)
    notebook.choose(cell, "start from", "C")
    numbers = [1.0, 0.0, -1.0, 2.0, 0.0, -2.0, 1.0, 0.0, -1.0]
    for place, slider in enumerate(sliders):
        numbers[place] = 5.0 if place % 2 else -5.0
        notebook.drag(slider, place % 2)
        view.expect("the kernel " + "[,;] ".join(map(str, numbers)))
        expect(cell.locator("select")).to_have_value("your own")
    notebook.photograph("kernel-your-own", cell)


def leaf_through_maps(notebook: Notebook) -> None:
    """Notebook 02: a slider for the picture, one for the stage of the network."""
    cell = notebook.find_cell("explore_feature_maps(")
    view = View(cell)
    view.expect(r"^Picture 0 and its \d+ feature maps after stage 1$")
    picture, stage = (notebook.find_slider(cell, label) for label in ("picture", "stage"))
    for number in (2, 3):
        notebook.press(stage, "ArrowRight")
        view.expect(rf"^Picture 0 and its \d+ feature maps after stage {number}$")
        notebook.photograph(f"feature-maps-stage-{number}", cell)
    notebook.drag(picture, 1)
    last = picture.locator(".noUi-handle").get_attribute("aria-valuenow").partition(".")[0]
    view.expect(rf"^Picture {last} and its \d+ feature maps after stage 3$")
    notebook.drag(stage, 0)
    view.expect(rf"^Picture {last} and its \d+ feature maps after stage 1$")
    notebook.photograph("feature-maps-last-picture", cell)


def use_few_pictures(notebook: Notebook) -> None:
    """Notebook 03: from one picture a class to all of them, and others of them."""
    cell = notebook.find_cell("explore_few_pictures(")
    view = View(cell)
    slider = notebook.find_slider(cell, "pictures a class")
    readout, handle = slider.locator(".widget-readout"), slider.locator(".noUi-handle")
    last = int(float(handle.get_attribute("aria-valuemax")))
    assert last > 10
    view.expect("after learning from 20 pictures")
    notebook.photograph("few-pictures-first", cell)

    stops = []
    with notebook.hold(slider) as move:  # stop by stop, the handle held all the way
        for place in range(last + 1):
            move(place / last)
            expect(handle).to_have_attribute("aria-valuenow", re.compile(rf"^{place}(\.0)?$"))
            stops.append(int(readout.inner_text()))
            view.expect(f"after learning from {2 * stops[-1]:,} pictures", new=stops[-1] != 10)
            if place in (0, last):
                notebook.photograph(f"few-pictures-{stops[-1]}")
    assert stops[0] == 1 and all(low < high for low, high in pairwise(stops))
    assert len(stops) == last + 1

    # Other pictures, of which nothing is drawn yet: fast, there and back and there again.
    notebook.click(cell, "Draw other pictures")
    view.expect(f"after learning from {2 * stops[-1]:,} pictures", new=False)
    notebook.drag(slider, 0, 1, 0, 1, 0.5, 0, steps=2 * last)
    released = now()
    expect(readout).to_have_text("1")
    view.expect("after learning from 2 pictures")
    notebook.photograph("few-pictures-others", cell)
    notebook.kernel.wait_until_idle()
    view.expect("after learning from 2 pictures", new=False)  # and nothing came after it
    assert notebook.kernel.count_moves(released) <= 2, "redraws have piled up"


def go_half_way(notebook: Notebook) -> None:
    """Notebook 04: from the frozen to the fine-tuned network."""
    cell = notebook.find_cell("explore_path(")
    view = View(cell)
    slider = notebook.find_slider(cell, "part of the way")
    view.expect("^50% of the way: loss ")
    notebook.photograph("path-half", cell)
    notebook.press(slider, "Home")
    view.expect("^0% of the way: loss ")
    notebook.photograph("path-frozen", cell)
    for tenth in range(1, 11):
        notebook.press(slider, "ArrowRight")
        view.expect(f"^{10 * tenth}% of the way: loss ", new=tenth != 5)
    notebook.photograph("path-fine-tuned", cell)
    notebook.drag(slider, 0, 1, 0.2)
    view.expect("^20% of the way: loss ", new=False)


def rent_gpus(notebook: Notebook) -> None:
    """Notebook 06: four sliders and two lists; the prediction follows each."""
    cell = notebook.find_cell("explore_scaling(")
    view = View(cell)
    view.expect(r"^44\.5 million parameters, 32 pictures a GPU, 10 Gbit/s between machines of 8: ")
    notebook.photograph("scaling-first", cell)
    notebook.choose(cell, "between machines", "InfiniBand, 400 Gbit/s")
    view.expect(" 400 Gbit/s between machines of 8: 400 ")
    before = view.picture.get_attribute("src")
    notebook.choose(cell, "within a machine", "NVLink, 2,400 Gbit/s")
    expect(view.picture).not_to_have_attribute("src", before)  # the title does not name this wire
    moves = {
        "parameters (million)": (1, r"^300\.0 million parameters, 32 pictures"),
        "one GPU (pictures/s)": (1, "between machines of 8: 3,000 pictures a second with 1 GPU"),
        "pictures a GPU": (1, " 256 pictures a GPU, "),
        "GPUs a machine": (0, " between machines of 1: "),
    }
    for label, (place, description) in moves.items():
        notebook.drag(notebook.find_slider(cell, label), place)
        view.expect(description)
    notebook.photograph("scaling-large", cell)
