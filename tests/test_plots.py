"""Axes that a reader can read."""

from utils import plots


def read_ticks(axis) -> list[str]:
    axis.figure.canvas.draw()
    labels = axis.get_majorticklabels() + axis.get_minorticklabels()
    return [label.get_text() for label in labels if label.get_text()]


def test_a_log_scale_within_a_power_of_ten_is_written_plainly():
    drawing = plots.plot_lines({"loss": ([1, 2, 3], [0.65, 0.4, 0.22])}, "epoch", "loss", log="y")
    axis = drawing.figure.axes[0].yaxis
    assert {"0.3", "0.4", "0.6"} <= set(read_ticks(axis))
    assert not any("e" in text for text in read_ticks(axis))


def test_epochs_are_whole_numbers_and_fractions_are_not_rounded():
    whole = plots.plot_lines({"loss": (range(1, 21), range(20))}, "epoch", "loss")
    assert all(float(text).is_integer() for text in read_ticks(whole.figure.axes[0].xaxis))
    parts = plots.plot_lines({"loss": ([0.0, 0.5, 1.0], [3, 2, 1])}, "weight", "loss")
    assert "0.2" in read_ticks(parts.figure.axes[0].xaxis)


def test_thousands_are_said_as_such():
    drawing = plots.plot_lines({"seconds": ([1, 30], [76.12, 2283.4])}, "epochs", "seconds")
    assert drawing.description.endswith("seconds from 76.1 to 2,283")
