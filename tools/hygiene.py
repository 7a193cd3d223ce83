"""What a notebook of this course must look like on disk. Nothing is executed here."""

import json
import re
import statistics
from pathlib import Path

from utils.notebook_cleaning import KEPT_CELL_METADATA, NOTEBOOK_METADATA, WIDGET_VIEW
from utils.notebook_setup import SETUP_CELL, format_badge
from utils.settings import ROOT

MAXIMUM_BYTES = 1_500_000
MEDIAN_LINES, MAXIMUM_LINES, MAXIMUM_LESSON_LINES, LINE_WIDTH = 6, 20, 25, 100
# A path of any machine, such as /tmp/x: two or more parts after a slash that starts a word.
ABSOLUTE_PATH = re.compile(r"(?<![\w./:<+=~…*)\]}%-])/(?:[\w.-]+/)+[\w.-]+|\b[A-Z]:\\\w+")
FORBIDDEN_WORDS = re.compile(r"!|\b(?:simply|just)\b", re.IGNORECASE)
PERCENTAGE = re.compile(r"\d[\d.,]*\s?%(?!\s?(?:Wilson |confidence )?intervals?)")
CLOSING_SECTIONS = ["## What you saw", "## Exercises", "## Next"]


def find_faults(path: Path) -> list[str]:
    """One sentence for each rule of the course that the notebook breaks; none where all is well."""
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    faults = find_file_faults(path, text, notebook) + find_anatomy_faults(path, notebook)
    for number, cell in enumerate(notebook["cells"], 1):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            found = find_prose_faults(source)
            if not has_tag(cell, "cited"):
                numbers = PERCENTAGE.findall(strip_code(source))
                found += [f"a number in prose, compute it in a cell: {value}" for value in numbers]
        elif cell["cell_type"] == "code":
            found = find_code_faults(cell, source) + find_output_faults(cell)
        else:
            found = [f"a cell of type {cell['cell_type']}"]
        faults += [f"cell {number}: {fault}" for fault in found]
    return faults


def has_tag(cell: dict, tag: str) -> bool:
    """Whether the cell carries the tag."""
    return tag in cell["metadata"].get("tags", [])


def find_file_faults(path: Path, text: str, notebook: dict) -> list[str]:
    """Faults of the file as a whole: format, size, ids, counts, metadata."""
    faults = []
    if (notebook["nbformat"], notebook["nbformat_minor"]) != (4, 5):
        faults.append(f"format {notebook['nbformat']}.{notebook['nbformat_minor']}, not 4.5")
    if len(text.encode("utf-8")) > MAXIMUM_BYTES:
        faults.append(f"{len(text.encode('utf-8')) / 1e6:.1f} MB, more than 1.5 MB")
    if notebook["metadata"] != NOTEBOOK_METADATA:
        faults.append("the metadata of the notebook are not those `make notebooks` writes")
    ids = [cell.get("id") for cell in notebook["cells"]]
    if None in ids or len(set(ids)) < len(ids):
        faults.append("a cell without an id, or two with the same")
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code if "".join(cell["source"]).strip()]
    if counts != list(range(1, len(counts) + 1)):
        faults.append(f"counts {counts[:6]}…: not the outputs of one run from top to bottom")
    checked = sum(has_tag(cell, "nbval-check-output") for cell in code)
    if not 2 <= checked <= 4:
        faults.append(f"{checked} cells tagged nbval-check-output, not two to four")
    lines = [len("".join(cell["source"]).splitlines()) for cell in code]
    if lines and statistics.median(lines) > MEDIAN_LINES:
        faults.append(f"the median code cell has {statistics.median(lines)} lines, not 6 or fewer")
    return faults


def find_anatomy_faults(path: Path, notebook: dict) -> list[str]:
    """Faults of the anatomy: title, badge, table, setup cell, last sections, slides, exercises."""
    faults = []
    cells = notebook["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    prose = ["" if cell["cell_type"] == "code" else "".join(cell["source"]) for cell in cells]
    if not prose[0].startswith("# ") or format_badge(path.name) not in prose[0]:
        faults.append(f"the first cell is not a title with the badge {format_badge(path.name)}")
    setup = [index for index, cell in enumerate(cells) if has_tag(cell, "setup")]
    if [sources[index] for index in setup] != [SETUP_CELL]:
        faults.append("there is not one cell tagged `setup` with the course's setup cell in it")
    opening = "\n".join(prose[: setup[0] if setup else 0]).lower()
    if not all(re.search(rf"\|.*{words}", opening) for words in ("you will", "you need", "time")):
        faults.append("no table `you will / you need / time` before the setup cell")
    headings = [line.strip() for text in prose for line in text.splitlines() if line[:3] == "## "]
    if headings[-3:] != CLOSING_SECTIONS:
        faults.append(f"the last three sections are {headings[-3:]}, not {CLOSING_SECTIONS}")
    if not any("slideshow" in cell["metadata"] for cell in cells):
        faults.append("no cell has slide metadata")
    code = "\n".join(text for text, words in zip(sources, prose, strict=True) if not words)
    numbers = re.findall(r"""exercises\.check\(\s*["']([\d.]+)["']""", code)
    expected = [f"{int(path.name[:2])}.{index}" for index in range(1, len(numbers) + 1)]
    if numbers != expected or len(numbers) > 6:
        faults.append(f"exercises are numbered {numbers}, not {expected} (six at most)")
    return faults


def strip_code(text: str) -> str:
    """Markdown without code, mathematics, addresses and HTML tags: the words a reader reads."""
    text = re.sub(r"^(```|~~~).*?^\1", " ", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$", " ", text, flags=re.DOTALL)
    text = re.sub(r"!\[|\]\([^)\n]*\)|<[^>\n]*>|https?://\S+", " ", text)
    return re.sub(r"<!--.*?-->", " ", text, flags=re.DOTALL)


def find_prose_faults(text: str) -> list[str]:
    """Faults of a piece of Markdown: words that hurry or shout, and folds that never close."""
    words = FORBIDDEN_WORDS.finditer(strip_code(text))
    faults = [f"the prose says {word[0]!r}" for word in words]
    if text.count("<details") != text.count("</details>"):
        faults.append("a <details> without its </details>")
    return faults


def find_code_faults(cell: dict, source: str) -> list[str]:
    """Faults of a code cell as it is written: length, width, tags, metadata."""
    faults = []
    lines = source.splitlines()
    limit = MAXIMUM_LESSON_LINES if has_tag(cell, "lesson") else MAXIMUM_LINES
    if len(lines) > limit and not (has_tag(cell, "lesson") and "class " in source):
        faults.append(f"{len(lines)} lines, more than {limit}")
    faults += [f"a line of {len(line)} characters" for line in lines if len(line) > LINE_WIDTH]
    if not set(cell["metadata"]) <= KEPT_CELL_METADATA:
        faults.append(f"metadata {sorted(set(cell['metadata']) - KEPT_CELL_METADATA)}")
    if has_tag(cell, "nbval-skip") or re.search(r"# *(NBVAL|PYTEST_VALIDATE)", source):
        faults.append("kept from nbval, or marked for it in a comment: use tags, and skip nothing")
    if has_tag(cell, "raises-exception") and not has_tag(cell, "nbval-check-output"):
        faults.append("raises-exception without nbval-check-output: nobody sees it not raise")
    if has_tag(cell, "nbval-check-output"):
        # nbval passes a cell without a count unseen, and never compares pictures.
        if cell["execution_count"] is None or not any(map(holds_text, cell["outputs"])):
            faults.append("tagged nbval-check-output without a count and a text to compare")
        if re.search(r"clear_output|display_id|\binteract\b|tqdm", source):
            faults.append("nbval cannot compare what clear_output, display_id, interact, tqdm show")
    return faults


def holds_text(output: dict) -> bool:
    """Whether nbval has something to compare in the output: text that stands for no picture."""
    data = output.get("data", {})
    return output["output_type"] in ("stream", "error") or (
        "text/plain" in data and not any(kind.startswith("image/") for kind in data)
    )


def find_output_faults(cell: dict) -> list[str]:
    """Faults of what a cell shows: errors, warnings, widgets, paths of a machine."""
    faults = []
    for output in cell["outputs"]:
        if output["output_type"] == "error" and not has_tag(cell, "raises-exception"):
            faults.append(f"an error is shown: {output['ename']}: {output['evalue']}")
        if output.get("name") == "stderr":
            faults.append(f"stderr is shown: {''.join(output['text']).strip()[:200]!r}")
        data = output.get("data", {})
        if WIDGET_VIEW in data:
            faults.append("a live widget is stored")
        texts = [output.get("text", ""), output.get("evalue", ""), output.get("traceback", "")]
        texts += [content for kind, content in data.items() if kind.startswith("text/")]
        for text in map("".join, texts):
            text = re.sub(r"data:image/[^\"')]*", "", text)  # an embedded picture is no path
            known = [place for place in (str(ROOT), str(Path.home())) if f"{place}/" in text]
            found = known + ABSOLUTE_PATH.findall(text)
            if found:
                faults.append(f"a path of a machine is shown: {found[0]}")
    return faults
