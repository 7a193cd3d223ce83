"""`make bench`: our speed beside the article's, the table of all rows, and `_build/bench.json`.

    python tests/benchmarks [NAME …]      all rows but the extra ones, or these; see rows.py
"""

import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # utils
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks

from benchmarks.material import prepare_material
from benchmarks.rows import BUILD, EXTRAS, ROWS
from benchmarks.runner import HEADER, format_row


def main(names: list[str]) -> int:
    known = ROWS | EXTRAS
    if unknown := set(names) - set(known):
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
        return 2
    BUILD.mkdir(exist_ok=True)
    rows, start = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as home:
        material = prepare_material(Path(home))
        for name in names or ROWS:
            print(f"{time.perf_counter() - start:5.0f} s  {name} …", flush=True)
            rows += known[name](material)
            # After each: whoever stops the rest keeps what was measured.
            (BUILD / "bench.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(f"\n{describe_machine()}\n{HEADER}")
    print("\n".join(map(format_row, rows)))
    print("".join(f"\n{line}" for row in rows for line in describe_more(row)))
    print(f"\n{time.perf_counter() - start:.0f} s; {len(rows)} rows in _build/bench.json")
    return 0


def describe_more(row: dict) -> list[str]:
    """What stands in a row beside its ratio, in words."""
    lines = []
    if "shares" in row:
        parts = ", ".join(f"{kind} {share:.0%}" for kind, share in row["shares"].items())
        alone = {key: statistics.median(row[f"{key}_alone"]) for key in ("decoding", "network")}
        lines.append(
            f"{row['name']}: decoding alone {alone['decoding']:.0f}, network alone "
            f"{alone['network']:.0f} pictures/s; the network's time: {parts}"
        )
    if "precision" in row:
        best = statistics.median(row["pictures_a_second"])
        # A precision that the processor only emulates was not measured.
        rates = {
            kind: [rate[kind] for rate in row["baseline_rates"]]
            for kind in row["baseline_rates"][0]
        }
        matrices = ", ".join(f"{kind} {statistics.median(rates[kind]):.0f}" for kind in rates)
        lines.append(
            f"{row['name']}: {best:.1f} pictures/s in {row['precision']}; matrix products in "
            f"GFLOP/s: {matrices}"
        )
    if "accuracy" in row:
        seen = ", ".join(map(str, row["baseline_seen"]))
        lines.append(
            f"{row['name']}: ours {row['accuracy']:.2%} on average of five draws of "
            f"{row['per_class']} a class; the article's loop saw {seen} photographs to get there"
        )
    if "setup_cells" in row:
        cells = ", ".join(f"{name[:2]} {value:.1f} s" for name, value in row["setup_cells"].items())
        lines.append(
            f"{row['name']}: {row['first']:.1f} s the first time, with nothing unpacked, decoded "
            f"or computed; setup and import cells: {cells}"
        )
    if row.get("peaks") and all(row["peaks"].values()):
        ours, theirs = (row["peaks"][side] / 1e9 for side in ("ours", "baseline"))
        lines.append(f"{row['name']}: peak memory {ours:.2f} GB with it, {theirs:.2f} GB without")
    return lines


def describe_machine() -> str:
    import torch

    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{name}, {os.cpu_count()} cores{load}, PyTorch {torch.__version__}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
