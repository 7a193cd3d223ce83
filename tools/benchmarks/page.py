"""The page with the table: written from one stored run, which no other work disturbed."""

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from tools.benchmarks.runner import ROOT

STORED = ROOT / "tools" / "bench.json"
PAGE = ROOT / "tools" / "benchmarks" / "README.md"
BEGIN, END = "<!-- begin: python -m tools.benchmarks --publish -->\n", "<!-- end -->\n"


def publish(measured: Path, groups: dict[str, Callable]) -> str:
    """Store a run of all rows and write the page from it; returns a sentence that says so.

    Ends the program where rows are missing, or the machine had other work to do meanwhile.
    """
    rows = json.loads(measured.read_text(encoding="utf-8")) if measured.exists() else []
    if missing := groups.keys() - {row["name"] for row in rows}:
        sys.exit(f"Run `make bench` with all rows: missing are {', '.join(missing)}.")
    if busy := find_busy(rows):
        sys.exit(f"Run `make bench` again on an idle machine: busy were {busy}.")
    STORED.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(fill_page(PAGE.read_text(encoding="utf-8"), rows, groups), encoding="utf-8")
    return f"Written: {STORED.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}."


def find_busy(rows: list[dict]) -> str:
    """The rows that others disturbed, with the share of the machine that these took."""
    return ", ".join(f"{row['name']} ({row['others']:.0%})" for row in rows if row["busy"])


def name_machine(row: dict) -> str:
    """One line: processor, cores, flags and versions."""
    versions = ", ".join(f"{name} {number}" for name, number in row["versions"].items())
    flags = ", ".join(row["flags"]) or "no flags that matter"
    return f"{row['processor']}, {row['cores']} cores ({flags}); {versions}; {row['date']}"


def fill_page(page: str, rows: list[dict], groups: dict[str, Callable]) -> str:
    """The page with what stands between its two marks made anew."""
    head, rest = page.split(BEGIN)
    return head + BEGIN + format_rows(rows, groups) + END + rest.split(END)[1]


def format_rows(rows: list[dict], groups: dict[str, Callable]) -> str:
    """Machine, table, what is compared in each row, and what else stands in the rows."""
    if not rows:
        return "\nNo run on an idle machine has been stored yet.\n\n"
    lines = ["| row | ours | other side | ratio | lowest–highest of n | goal |", "|---" * 6 + "|"]
    for row in rows:
        goal = "" if row["goal"] is None else f"≥ {row['goal']:g}"
        goal += " (missed)" if goal and row["ratio"] < row["goal"] else ""
        lines.append(
            f"| `{row['name']}` | {row['ours']:.3g} {row['unit']} | {row['baseline']:.3g} "
            f"{row['unit']} | **{row['ratio']:.2f}** | {min(row['ratios']):.2f}–"
            f"{max(row['ratios']):.2f} of {len(row['ratios'])} | {goal} |"
        )
    what = [
        f"- `{name}`: {(bench.__doc__ or '').splitlines()[0]}" for name, bench in groups.items()
    ]
    more = [f"- {line}" for row in rows for line in describe_more(row)]
    blocks = [name_machine(rows[0]) + f"; inputs {rows[0]['inputs']}"], lines, what, more
    return "\n" + "\n\n".join("\n".join(block) for block in blocks) + "\n\n"


def describe_more(row: dict) -> list[str]:
    """What stands in a row beside its ratio, in words."""
    lines = []
    if "shares" in row:
        parts = ", ".join(f"{kind} {share:.0%}" for kind, share in row["shares"].items())
        alone = {key: statistics.median(row[f"{key}_alone"]) for key in ("decoding", "network")}
        lines.append(
            f"{row['name']}: decoding alone {alone['decoding']:.0f}, network alone "
            f"{alone['network']:.0f} images/s; the network's time: {parts}"
        )
    if "precision" in row:
        best, rates = statistics.median(row["images_a_second"]), row["baseline_rates"]
        # A precision that the processor only emulates was not measured.
        medians = {kind: statistics.median(each[kind] for each in rates) for kind in rates[0]}
        matrices = ", ".join(f"{kind} {rate:.0f}" for kind, rate in medians.items())
        lines.append(
            f"{row['name']}: {best:.1f} images/s in {row['precision']}; matrix products in "
            f"GFLOP/s: {matrices}"
        )
    if "accuracy" in row:
        seen = ", ".join(map(str, row["baseline_seen"]))
        lines.append(
            f"{row['name']}: ours {row['accuracy']:.2%} on average of five draws of "
            f"{row['per_class']} a class; the article's loop saw {seen} photographs to get there"
        )
    if "prepared" in row:
        counts = ", ".join(f"{kind} {count}" for kind, count in row["correct"].items())
        more = row["prepared"]["int8"] - row["prepared"]["PyTorch"]  # seconds
        saved = 1 / row["baseline"] - 1 / row["ours"]  # seconds an image
        lines.append(
            f"{row['name']}: correct of {row['tested']} test photographs: {counts} (int8 against "
            f"PyTorch: gained {row['gained']}, lost {row['lost']}); exporting and quantising takes "
            f"{more:.0f} s, what it saves on {more / saved:,.0f} images"
        )
    if "setup_cells" in row:
        cells = ", ".join(f"{name[:2]} {value:.1f} s" for name, value in row["setup_cells"].items())
        lines.append(
            f"{row['name']}: {row['first']:.1f} s the first time, with nothing unpacked, decoded "
            f"or computed; setup cell and all imports: {cells}"
        )
    if "notebooks" in row:
        parts = ", ".join(f"{name[:2]} {value:.0f}" for name, value in row["notebooks"].items())
        lines.append(f"{row['name']}: seconds by notebook: {parts}")
    if row.get("peaks") and all(row["peaks"].values()):
        ours, theirs = (row["peaks"][side] / 1e9 for side in ("ours", "baseline"))
        lines.append(f"{row['name']}: peak memory {ours:.2f} GB with it, {theirs:.2f} GB without")
    return lines
