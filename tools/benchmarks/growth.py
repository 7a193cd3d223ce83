"""How seconds and memory grow with the number of images, and what 23,000 would take."""

from pathlib import Path

import numpy as np

from tools.benchmarks.material import Material
from tools.benchmarks.runner import Side, Worker

SIZES = (250, 500, 1_000, 2_000, 4_000)
WORK = ("features", "head", "custom CNN")
ALL = 23_000  # training photographs of the full dataset
LINEAR = 0.1  # how far the exponent may be from 1


def measure_growth(material: Material, sizes: tuple[int, ...] = SIZES) -> dict[str, list[dict]]:
    """One process for each piece of work and size, so that no peak is another's leftover."""
    measured: dict[str, list[dict]] = {kind: [] for kind in WORK}
    for size in sizes:
        for kind in WORK:
            side = Side(
                "tools.benchmarks.course_side:work",
                {"folder": material.take(size), "kind": kind},
                "course",
            )
            with Worker(side) as worker:
                numbers = worker.repeat()
            measured[kind].append({"images": size} | numbers)
            print(f"  {kind:12} {size:>6,} images {numbers['seconds']:>8.2f} s", flush=True)
    return measured


def fit_growth(points: list[dict], key: str = "seconds") -> dict:
    """The exponent of a power law, a straight line, and what it says for the full dataset."""
    images = np.array([point["images"] for point in points], float)
    values = np.array([point[key] for point in points], float)
    exponent = np.polyfit(np.log(images), np.log(values), 1)[0]
    # Relative errors count, or the largest size alone would draw the line.
    slope, fixed = np.polyfit(images, values, 1, w=1 / values)
    return {
        "exponent": float(exponent),
        "linear": bool(abs(exponent - 1) <= LINEAR),
        "each": float(slope),
        "fixed": float(fixed),
        "full": float(slope * ALL + fixed),
    }


def describe_growth(measured: dict[str, list[dict]]) -> list[str]:
    lines = []
    for kind, points in measured.items():
        fit = fit_growth(points)
        verdict = "linear" if fit["linear"] else "not linear"
        full = f"{fit['full'] / 60:.0f} min" if fit["full"] > 120 else f"{fit['full']:.0f} s"
        peaks = [point["peak_memory"] / 1e9 for point in points if point["peak_memory"]]
        memory = f", peak memory {peaks[0]:.2f} to {peaks[-1]:.2f} GB" if peaks else ""
        lines.append(
            f"{kind:12} seconds ~ images^{fit['exponent']:.2f} ({verdict}); "
            f"{ALL:,} images: {full}{memory}"
        )
    return lines


def plot_growth(measured: dict[str, list[dict]], path: Path) -> None:
    """Seconds and peak memory against images, with the straight line through the seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    for kind, points in measured.items():
        images = np.array([point["images"] for point in points])
        line = seconds.plot(images, [point["seconds"] for point in points], "o", label=kind)[0]
        fit = fit_growth(points)
        seconds.plot(images, fit["each"] * images + fit["fixed"], color=line.get_color())
        if all(point["peak_memory"] for point in points):
            memory.plot(images, [point["peak_memory"] / 1e9 for point in points], "o-")
    seconds.set(xscale="log", yscale="log", xlabel="images", ylabel="seconds")
    memory.set(xscale="log", xlabel="images", ylabel="peak memory in GB", ylim=0)
    for axis in (seconds, memory):
        axis.set_xticks(images, [f"{number:,}" for number in images])
        axis.minorticks_off()
    seconds.set_title("Points: measured. Lines: straight lines fitted to them", fontsize=10)
    figure.legend(loc="outside lower center", ncols=len(WORK), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
