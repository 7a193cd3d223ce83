"""Figures of fine-tuning: memory, the range test, regimes on one time axis, averaged weights."""

from matplotlib.ticker import PercentFormatter

from utils.drawings import BLUE, GREY, RED, Drawing, colour_of, hatch_of, make_axes, marker_of
from utils.plots import write_plainly


def plot_memory(rows: dict[str, dict[str, float]], title: str = "") -> Drawing:
    """Bytes by network and purpose, as bars of several parts, in megabytes."""
    figure, axes = make_axes(width=8, height=1.2 + 0.5 * len(rows))
    axis = axes[0, 0]
    left = dict.fromkeys(rows, 0.0)
    for number, part in enumerate(next(iter(rows.values()))):
        values = [row[part] / 1e6 for row in rows.values()]
        axis.barh(list(rows), values, left=list(left.values()), label=part, edgecolor="white",
                  color=colour_of(number), hatch=hatch_of(number))  # fmt: skip
        left = {name: left[name] + value for name, value in zip(rows, values, strict=True)}
    for place, total in enumerate(left.values()):
        axis.annotate(f"{total:,.0f} MB", (total, place), (4, 0), textcoords="offset points",
                      va="center")  # fmt: skip
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.set(xlabel="megabytes", title=title)
    axis.legend(loc="upper center", bbox_to_anchor=(0.45, -0.3), ncols=4, fontsize=9)
    spoken = "; ".join(
        f"{name} {left[name]:,.0f} megabytes: "
        + ", ".join(f"{part} {value / 1e6:,.0f}" for part, value in row.items())
        for name, row in rows.items()
    )
    return Drawing(figure, f"{title or 'Memory'}. {spoken}")


def plot_range_test(
    rates: list[float], losses: list[float], smoothed: list[float], marks: dict[str, float]
) -> Drawing:
    """Loss of each batch and its running mean against the rate, with named rates marked."""
    figure, axes = make_axes(width=7.5, height=3.4)
    axis = axes[0, 0]
    axis.plot(rates, losses, "o", color=GREY, markersize=3, alpha=0.6, label="each batch")
    axis.plot(rates, smoothed, label="running mean")
    for number, (name, rate) in enumerate(marks.items(), 1):
        axis.axvline(rate, color=colour_of(number), ls=("--", ":")[number % 2], label=name)
    axis.set(xlabel="learning rate (log scale)", ylabel="loss", xscale="log",
             title="Range test: the loss while the steps grow")  # fmt: skip
    axis.legend(fontsize=9)
    spoken = ", ".join(f"{name} at {rate:.1e}" for name, rate in marks.items())
    return Drawing(
        figure,
        f"Loss against learning rate: the running mean is {min(smoothed):.3f} at its lowest and "
        f"{smoothed[-1]:.2f} at the end, at a rate of {rates[-1]:.1e}; {spoken}",
    )


def plot_rates(lines: dict[str, tuple]) -> Drawing:
    """Learning rate of each parameter group by step: (steps, rates), on a log axis."""
    figure, axes = make_axes(width=7.5, height=3.4)
    axis = axes[0, 0]
    for number, (name, (steps, rates)) in enumerate(lines.items()):
        style = ("-", "--", ":", "-.")[number % 4]
        axis.plot(steps, rates, style, label=name, color=colour_of(number))
    highest = max(max(rates) for _, rates in lines.values())
    axis.set(xlabel="step", ylabel="learning rate (log scale)", yscale="log",
             ylim=(highest / 1000, highest * 1.5), title="Warm-up, then half a cosine")  # fmt: skip
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    spoken = ", ".join(f"{name} up to {max(rates):.1e}" for name, (_, rates) in lines.items())
    return Drawing(figure, f"Learning rates by step, up in a line and down in a cosine: {spoken}")


def plot_regimes(
    regimes: dict[str, dict[str, list[float]]], baseline: dict[str, float], name: str
) -> Drawing:
    """Validation accuracy and loss against seconds, one line a regime, the baseline dotted.

    Each regime has the lists `seconds`, `accuracy` and `loss`, of the same length.
    """
    figure, axes = make_axes(1, 2, 9, 3.6)
    for axis, quantity in zip(axes[0], ("accuracy", "loss"), strict=True):
        axis.axhline(baseline[quantity], color="black", ls=":", lw=1.5, label=name)
        for number, (label, regime) in enumerate(regimes.items()):
            axis.plot(regime["seconds"], regime[quantity], marker=marker_of(number), markersize=5,
                      label=label, color=colour_of(number))  # fmt: skip
        axis.set(xlabel="seconds of training", title=f"validation {quantity}")
    axes[0, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes[0, 1].set_yscale("log")
    write_plainly(axes[0, 1].yaxis)
    axes[0, 0].legend(fontsize=8)
    spoken = "; ".join(
        f"{label} ends after {regime['seconds'][-1]:.0f} seconds at accuracy "
        f"{regime['accuracy'][-1]:.1%}, loss {regime['loss'][-1]:.3f}"
        for label, regime in regimes.items()
    )
    return Drawing(
        figure,
        f"Validation accuracy and loss by seconds. {name}: {baseline['accuracy']:.1%}, "
        f"{baseline['loss']:.3f}; {spoken}",
    )


def plot_paths(paths: dict[str, tuple[list[float], list[float], list[float]]]) -> Drawing:
    """Accuracy and loss of averaged weights: (parts of the way, accuracies, losses) by name."""
    figure, axes = make_axes(1, 2, 9, 3.2)
    for number, (name, (parts, *both)) in enumerate(paths.items()):
        for axis, values in zip(axes[0], both, strict=True):
            axis.plot(parts, values, marker=marker_of(number), markersize=4, label=name,
                      color=colour_of(number))  # fmt: skip
    for axis, quantity in zip(axes[0], ("accuracy", "loss"), strict=True):
        axis.set(xlabel="part of the way: 0 frozen, 1 fine-tuned", title=f"validation {quantity}")
    axes[0, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes[0, 1].set_yscale("log")
    write_plainly(axes[0, 1].yaxis)
    axes[0, 0].legend(fontsize=9)
    spoken = "; ".join(
        f"{name}, loss at "
        + ", ".join(f"{part:.1f}: {loss:.3f}" for part, loss in zip(parts, losses, strict=True))
        for name, (parts, _, losses) in paths.items()
    )
    return Drawing(figure, f"Validation accuracy and loss of averaged weights: {spoken}")


def plot_groups(groups: dict[str, dict[str, float]], label: str, title: str) -> Drawing:
    """Upright bars on a log axis: one colour a group, side by side at each named place."""
    names = list(next(iter(groups.values())))
    figure, axes = make_axes(width=8, height=3.4)
    axis = axes[0, 0]
    wide = 0.8 / len(groups)
    for number, (group, values) in enumerate(groups.items()):
        places = [place + (number - (len(groups) - 1) / 2) * wide for place in range(len(names))]
        axis.bar(places, [values[name] for name in names], wide, label=group, edgecolor="white",
                 color=colour_of(number), hatch=hatch_of(number))  # fmt: skip
    axis.set_xticks(range(len(names)), names)
    axis.set(ylabel=f"{label} (log scale)", yscale="log", title=title)
    axis.legend(fontsize=9)
    spoken = "; ".join(
        f"{group}: " + ", ".join(f"{name} {values[name]:.2g}" for name in names)
        for group, values in groups.items()
    )
    return Drawing(figure, f"{title}, {label}. {spoken}")


def plot_pairs(counts: dict[str, int], seen: int) -> Drawing:
    """The four ways in which two networks can answer the same pictures, as one bar."""
    figure, axes = make_axes(width=8, height=1.9)
    axis = axes[0, 0]
    bars = axis.barh(list(counts), list(counts.values()), color=[GREY, BLUE, RED, GREY])
    axis.bar_label(bars, [f"{count:,}" for count in counts.values()], padding=3)
    axis.invert_yaxis()
    axis.set_xscale("symlog", linthresh=1)
    axis.margins(x=0.1)
    axis.set(xlabel=f"of {seen:,} test pictures (log scale)")
    spoken = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return Drawing(figure, f"Of {seen:,} test pictures: {spoken}")


def plot_norms(norms: list[float], limit: float) -> Drawing:
    """Lengths of gradients, a bar a batch on a log axis, and the length they are clipped to."""
    figure, axes = make_axes(width=7, height=2.8)
    axis = axes[0, 0]
    bars = axis.bar(range(1, len(norms) + 1), norms, color=BLUE)
    for bar, norm in zip(bars, norms, strict=True):
        if norm > limit:
            bar.set(color=RED, hatch="///", edgecolor="white")
    axis.axhline(limit, color="black", ls="--", lw=1.5, label=f"clipped to {limit:g}")
    axis.set(xlabel="batch, from the shortest gradient to the longest", yscale="log",
             ylabel="length (log scale)", title="Gradients of batches of eight")  # fmt: skip
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize=9)
    return Drawing(
        figure,
        f"Lengths of {len(norms)} gradients, from {norms[0]:.1e} to {norms[-1]:.1e}; "
        f"{sum(norm > limit for norm in norms)} are longer than the limit of {limit:g}",
    )
