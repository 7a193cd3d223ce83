"""Figures say their numbers in words, keep names as they are, and can show many classes."""

import base64
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from utils import plots
from utils.plots import distributed, features, house, images, inspection, network
from utils.runs import RUNS

GENERATOR = np.random.default_rng(0)
IMAGE = GENERATOR.random((3, 32, 32))
MANY = [f"$flower {number}$ of a very long name" for number in range(102)]
HISTORY = {
    "train_loss": [0.7, 0.42],
    "train_accuracy": [0.5, 0.9],
    "validation_loss": [0.7, 0.45],
    "validation_accuracy": [0.5, 0.8],
    "seconds": [1.0, 1.0],
}


def make_run(name: str, accuracy: float, seconds: float) -> SimpleNamespace:
    interval = (accuracy - 0.05, accuracy + 0.01)
    return SimpleNamespace(run=name, test_accuracy=accuracy, interval=interval, seconds=seconds)


RUN_LIST = [make_run("custom_cnn", 0.753, 88.0), make_run("frozen", 0.99, 3.3)]
BINS = {"confidence": [0.6, 0.9], "accuracy": [0.5, 0.88], "count": [50, 50]}
LEVELS = ["as is", "2"], [0.9, 0.6], [0.8, 0.5], [0.95, 0.7]
TABLE = np.array([[120, 30], [44, 106]])
FIGURES = {  # what is drawn, and what its description has to say
    "history": (lambda: plots.plot_history({"": HISTORY}), "validation accuracy 80 %"),
    "no history": (lambda: plots.plot_history({"": {k: [] for k in HISTORY}}), "Loss and acc"),
    "bars": (lambda: plots.plot_bars({"$x$": 2.0, "y": 0.5}, "share", form="{:.0%}"), "y 50 %"),
    "dots": (lambda: plots.plot_dots({"g": {"stem": 1e-5, "head": 0.1}}, "change"), "head 0.1"),
    "lines": (lambda: plots.plot_lines({"a": ([1, 2], [0.5, 0.75])}, "x", "y"), "50 % to 75 %"),
    "intervals": (
        lambda: plots.plot_intervals({"frozen": (292, 300), "b": (0.5, 0.4, 0.6)}, chance=0.5),
        "frozen backbone 97.3 % (94.8 % to 98.6 %, 292 of 300); b 50 % (40 % to 60 %); chance 50 %",
    ),
    "comparison": (lambda: plots.plot_comparison(RUN_LIST), "frozen backbone 99 % in 3.3 s"),
    "four boxes": (lambda: plots.plot_four_boxes(3), "You are in notebook 03"),
    "products": (
        lambda: network.show_products(IMAGE[0], (1, 2), dict.fromkeys("abc", np.eye(3))),
        "Row 1, column 2",
    ),
    "kernels": (lambda: network.show_kernels({"A": np.eye(3)}), "A: 1, 0, 0, 0, 1"),
    "descent": (
        lambda: network.plot_descent(([0, 1], [2, 1]), [(0, 2), (0.5, 1.5)]),
        "1 steps downhill: loss 2 at weight 0, then loss 1.5 at weight 0.5",
    ),
    "repeats": (lambda: plots.plot_repeats({"a": [1, 2]}, "x"), "a from 1 to 2"),
    "seeds": (
        lambda: plots.plot_repeats({"a": [0.9, 0.95], "chance": [0.5]}, "x", percent=True),
        "a from 90 % to 95 %; chance from 50 % to 50 %",
    ),
    "distances": (
        lambda: plots.plot_repeats({"new": [1.0, *[3.0] * 99]}, "x", threshold=2.0),
        "Threshold 2: new from 1 to 3, 99 % beyond",
    ),
    "guesses": (lambda: features.plot_guesses([IMAGE], [[("tabby", 0.6)]]), "tabby 60 %"),
    "maps": (
        lambda: features.plot_maps(
            {"pixels": GENERATOR.random((204, 2))}, list(range(102)) * 2, MANY, {"pixels": "6 %\nx"}
        ),
        "pixels: 6 % x. Classes: 96 other classes, $flower 0$",
    ),
    "head": (
        lambda: features.draw_head_report(
            9, 10, {"a": [IMAGE], "b": [IMAGE]}, [(IMAGE, "says $b$, 99 %")], {"chance": 0.5}, 1
        ),
        "1 image per class (95 % interval 59.6 % to 98.2 %, 9 of 10); 1 wrong. chance 50 %",
    ),
    "paired": (
        lambda: plots.plot_paired_table([1, 1, 0], [1, 0, 1], [IMAGE] * 3, "Two"),
        "1 frozen right and unfrozen right, 1 frozen right and unfrozen wrong, 1 frozen wrong and "
        "unfrozen right, 0 frozen wrong and unfrozen wrong",
    ),
    "grad-cam": (
        lambda: inspection.show_maps([IMAGE] * 4, [IMAGE[0]] * 4, list("abcd")),
        "4 images, each with its map: a, b",
    ),
    "confusion": (
        lambda: inspection.plot_confusion({"custom_cnn": TABLE}, ["$cats$", "dogs"]),
        "custom CNN 226 of 300 right; custom CNN: 30 of $cats$ answered dogs",
    ),
    "many confusions": (
        lambda: inspection.plot_confusion({"frozen": np.eye(102, k=3) * 7 + np.eye(102)}, MANY),
        "frozen backbone 102 of 795 right. frozen backbone: the largest of its confusions",
    ),
    "deal": (
        lambda: distributed.plot_deal({"epoch 0": [[1, 0], [2, 1]]}, "Three"),
        "process 1 gets [2, 1]",
    ),
    "scaling": (
        lambda: distributed.plot_scaling([1, 2], [250.0, 400.0], {"2 GPUs": (0.1, 0.02, 0.03)}, ""),
        "400 with 2, 80 % of the ideal. 2 GPUs: 100 ms of computing, 20 ms",
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_saved_and_says_its_numbers(name: str) -> None:
    draw, words = FIGURES[name]
    drawing = draw()
    assert words in drawing.description
    assert len(drawing.save()) > 1000 and drawing.width <= 1056
    if isinstance(drawing.figure, Image.Image):
        return
    texts = [text for text in drawing.figure.findobj(Text) if text.get_text()]
    assert not any(text.get_parse_math() for text in texts), "a class may be called $ale$"
    assert min(text.get_fontsize() for text in texts) >= 11


def test_a_notebook_gets_the_image_with_its_words() -> None:
    data, metadata = plots.plot_bars({"<a>": 1}, "x")._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == data["text/plain"] == "x: <a> 1"
    assert 'alt="x: &lt;a&gt; 1"' in plots.plot_bars({"<a>": 1}, "x").to_html()


def test_a_run_looks_the_same_in_every_figure() -> None:
    for names in (["frozen"], ["x", "frozen backbone"], [*RUNS, "x"]):
        found = [each for each in house.find_styles(names) if each.label == "frozen backbone"]
        assert [(each.colour, each.marker) for each in found] == [RUNS["frozen"][1:]]
    others = house.find_styles(["custom_cnn", "x", "y"])[1:]
    assert not {each.colour for each in others} & {run.colour for run in RUNS.values()}


def test_no_meaning_by_colour_alone() -> None:
    looks = house.find_styles([*RUNS, "a", "b", "c"])
    assert len({(each.marker, each.dash) for each in looks}) == len(looks)
    groups = house.list_class_styles(np.arange(102), MANY)
    assert len({each.marker for _, each in groups}) == len(groups) == house.SHOWN_CLASSES
    assert sum(rows.sum() for rows, _ in groups) == 102
    assert len(house.list_class_styles([0, 1, 1], ["a", "b"])) == 2


def test_what_a_mark_says_the_description_says() -> None:
    drawn = plots.show_images([IMAGE] * 2, ["cats 60 %", "dogs 70 %"], correct=[False, True])
    assert drawn.description == "Images (2): cats 60 % (wrong), dogs 70 %"
    many = plots.show_images([IMAGE] * 30, ["cats", "dogs", "dogs"] * 10)
    assert many.description == "Images (30): 20 dogs, 10 cats"
    assert plots.show_images([], title="Mistakes").figure.size[1] < 60  # "Mistakes: none"


def test_every_form_of_an_image_is_shown(tmp_path) -> None:
    whole = (IMAGE * 255).round().astype(np.uint8)
    grey = Image.fromarray(whole[0])
    grey.save(tmp_path / "grey.png")
    forms = (IMAGE, whole, whole.transpose(1, 2, 0), whole[:1], whole[0], grey, (grey, 1))
    for form in (*forms, tmp_path / "grey.png"):
        image = images.to_image(form)
        assert image.mode == "RGB" and image.size == (32, 32)
    assert np.array_equal(np.asarray(images.to_image(IMAGE)), whole.transpose(1, 2, 0))


def test_captions_fit_their_tile() -> None:
    font = images.find_font()
    lines = images.wrap("an_endless_class_name_without_spaces 99 % and more and more", 120, font)
    assert len(lines) == 2 and all(font.getlength(line) <= 120 for line in lines)
    assert lines[-1].endswith("…") and images.wrap("", 120, font) == []


def test_what_follows_a_long_name_is_still_there() -> None:
    font = images.find_font()
    lines = images.wrap("✔\u00a0a_very_long_name_of_a_class, 99 %", 120, font)
    assert lines[0].endswith("…") and lines[1] == "99\u00a0%"
    assert images.wrap("cat, 9 %\ntrue: a_very_long_name_of_it", 120, font)[1].startswith(
        "true: a_"
    )


def test_letters_that_the_font_lacks_are_numbers_and_said_once(capsys) -> None:
    house.say_once.cache_clear()
    for name in ("猫", "犬 and 猫", "\udcff"):
        house.shorten(name)
    assert house.shorten("猫 été ✔") == "U+732B été ✔"
    assert images.wrap("猫 60 %", 240, images.find_font()) == ["U+732B 60\u00a0%"]
    assert capsys.readouterr().out.count("\n") == 1


def read_ticks(axis) -> list[str]:
    axis.figure.canvas.draw()
    labels = axis.get_majorticklabels() + axis.get_minorticklabels()
    return [label.get_text() for label in labels if label.get_text()]


def test_log_scales_are_written_plainly() -> None:
    short = plots.plot_lines(
        {"a": ([1, 2, 3], [0.65, 0.4, 0.22])}, "x", "y", log="y", percent=False
    )
    assert {"0.3", "0.4", "0.6"} <= set(read_ticks(short.figure.axes[0].yaxis))
    long = plots.plot_lines({"a": ([1, 2], [1e-6, 2e4])}, "x", "y", log="y", percent=False)
    ticks = read_ticks(long.figure.axes[0].yaxis)
    # Every second power of ten; which of them, matplotlib's versions decide differently.
    assert {"1,000", "10,000"} & set(ticks) and not any("e" in text for text in ticks)


def test_few_things_are_counted_in_whole_numbers() -> None:
    one = {name: values[:1] for name, values in HISTORY.items()}
    for drawn in (plots.plot_history({"": one}), plots.plot_bars({"a": 1, "b": 2}, "images")):
        ticks = read_ticks(drawn.figure.axes[0].xaxis)
        assert ticks and all(float(text).is_integer() for text in ticks)


def test_epochs_are_whole_numbers_and_shares_are_not_rounded() -> None:
    whole = plots.plot_lines({"loss": (range(1, 21), range(20))}, "epoch", "loss", percent=False)
    assert all(float(text).is_integer() for text in read_ticks(whole.figure.axes[0].xaxis))
    shares = plots.plot_lines({"loss": ([0.0, 0.5, 1.0], [3, 2, 1])}, "x", "loss", percent=False)
    assert "0.2" in read_ticks(shares.figure.axes[0].xaxis)


def test_values_at_the_ends_of_lines_do_not_lie_on_one_another() -> None:
    figure, axes = house.make_axes()
    axes[0, 0].plot([0, 1], [0, 1])
    house.label_ends(axes[0, 0], [(1, 0.5, f"{number}", "black") for number in range(4)])
    heights = sorted(text.xy[1] for text in axes[0, 0].texts)
    assert min(np.diff(heights)) * figure.get_figheight() > 0.15  # inches
