"""`make bench`: our speed beside the article's, the table of all rows, and `_build/bench.json`.

python -m tools.benchmarks [NAME …]      all rows but the extra ones, or these; see rows.py
python -m tools.benchmarks --publish     write the last run of all rows into their page
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from tools.benchmarks import page
from tools.benchmarks.machine import describe_machine, watch_others
from tools.benchmarks.material import hash_inputs, prepare_material
from tools.benchmarks.rows import BUILD, EXTRAS, ROWS
from tools.benchmarks.runner import HEADER, format_row


def main(names: list[str]) -> int:
    if names == ["--publish"]:
        print(page.publish(BUILD / "bench.json", ROWS))
        return 0
    known = ROWS | EXTRAS
    if unknown := set(names) - set(known):
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
        return 2
    BUILD.mkdir(exist_ok=True)
    rows, start = [], time.perf_counter()
    machine = describe_machine() | {"inputs": hash_inputs()}
    with tempfile.TemporaryDirectory() as home:
        material = prepare_material(Path(home))
        for name in names or ROWS:
            print(f"{time.perf_counter() - start:5.0f} s  {name} …", flush=True)
            with watch_others() as others:
                made = known[name](material)
            rows += [row | machine | others for row in made]
            # After each: whoever stops the rest keeps what was measured.
            (BUILD / "bench.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(f"\n{page.name_machine(machine)}\n{HEADER}")
    print("\n".join(map(format_row, rows)))
    print("".join(f"\n{line}" for row in rows for line in page.describe_more(row)))
    print(f"\n{time.perf_counter() - start:.0f} s; {len(rows)} rows in _build/bench.json")
    if busy := page.find_busy(rows):
        print(f"The machine was busy with other work: not to be published are {busy}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
