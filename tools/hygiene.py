"""What a notebook of this course must look like on disk. Nothing is executed here."""

import ast
import json
import re
import statistics
from pathlib import Path

from tools.cleaning import KEPT_CELL_METADATA, NOTEBOOK_METADATA, WIDGET_VIEW
from tools.setup_cell import SETUP_CELL, format_badges
from utils.settings import ROOT

MAXIMUM_BYTES = 1_500_000
LAST_CORE = 5
CODE_CELLS, LINE_WIDTH, MEDIAN_LINES, MAXIMUM_LINES, ROOMS, NAMES = 45, 79, 6, 20, 8, 20
# A path of any machine, such as /tmp/x: two or more parts after a slash that starts a word.
ABSOLUTE_PATH = re.compile(r"(?<![\w./:<+=~…*)\]}%-])/(?:[\w.-]+/)+[\w.-]+|\b[A-Z]:\\\w+")
# 1,000 and 97.3 are numbers; the digits of conv1, resnet101, 3x3 and 2026-08 are not.
NUMBER = re.compile(
    r"(?<![\w.,/-])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|(?<![\w.,/-])\d+(?:\.\d+)?(?!\w)"
)
CLOSING_SECTIONS = ["## What you saw", "## Exercises", "## Next"]
# Measured once, on photographs: "05_what" → value and source. None of them is in the repository.
PHOTOGRAPHS = json.loads(Path(__file__).with_name("photographs.json").read_text(encoding="utf-8"))


def find_faults(path: Path) -> list[str]:
    """One sentence for each rule of the course that the notebook breaks; none where all is well."""
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    faults = find_file_faults(text, notebook) + find_anatomy_faults(path, notebook)
    faults += find_size_faults(path, notebook)
    for number, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] == "markdown":
            found = find_prose_faults(read_source(cell))
        elif cell["cell_type"] == "code":
            found = find_code_faults(cell) + find_output_faults(cell)
        else:
            found = [f"a cell of type {cell['cell_type']}"]
        faults += [f"cell {number}: {fault}" for fault in found]
    stored = [entry["value"] for key, entry in PHOTOGRAPHS.items() if key[:3] == path.name[:3]]
    unsupported = find_unsupported_numbers(notebook, json.dumps(stored))
    return faults + [f"no output of its section shows what {line}" for line in unsupported]


def read_source(cell: dict) -> str:
    """The source of a cell, stored as one string or as lines."""
    return "".join(cell["source"])


def has_tag(cell: dict, tag: str) -> bool:
    """Whether the cell carries the tag."""
    return tag in cell["metadata"].get("tags", [])


def find_file_faults(text: str, notebook: dict) -> list[str]:
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
    counts = [cell["execution_count"] for cell in code if read_source(cell).strip()]
    if counts != list(range(1, len(counts) + 1)):
        faults.append(f"counts {counts[:6]}…: not the outputs of one run from top to bottom")
    checked = sum(has_tag(cell, "nbval-check-output") for cell in code)
    if checked < 2:
        faults.append(f"{checked} cells tagged nbval-check-output, not two or more")
    return faults


def find_size_faults(path: Path, notebook: dict) -> list[str]:
    """Faults of a notebook's size: cells, lines a cell, rooms and names of utils, "Notice"."""
    faults = []
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    sources = [read_source(cell) for cell in code if not has_tag(cell, "setup")]
    median = statistics.median(len(source.splitlines()) for source in sources) if sources else 0
    if median > MEDIAN_LINES:
        faults.append(f"the median code cell has {median} lines, not {MEDIAN_LINES} or fewer")
    prose = [read_source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    if (count := len(re.findall(r"\bNotice\b", strip_code(" ".join(prose))))) > 3:
        faults.append(f"the prose says 'Notice' {count} times, not three at most")
    if int(path.name[:2]) > LAST_CORE:
        return faults
    if len(code) > CODE_CELLS:
        faults.append(f"{len(code)} code cells, more than {CODE_CELLS}")
    modules, names = find_imports(sources)
    rooms = {module.split(".")[1] for module in modules}
    if len(rooms) > ROOMS:
        faults.append(f"{len(rooms)} rooms of utils, more than {ROOMS}: {sorted(rooms)}")
    if len(names) > NAMES:
        faults.append(f"{len(names)} names of utils, more than {NAMES}: {sorted(names)}")
    return faults


def find_imports(sources: list[str]) -> tuple[set[str], set[str]]:
    """Modules that code imports from utils, and names: `plots.show_images` counts as one."""
    modules, names, short = set(), set(), {}
    trees = [ast.parse(re.sub(r"^(\s*)[!%].*", r"\1pass", text, flags=re.M)) for text in sources]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    for node in nodes:
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.split(".")[0] == "utils"
        ):
            for alias in node.names:
                dotted = f"{node.module}.{alias.name}"
                is_module = find_module(dotted)
                modules.add(dotted if is_module else node.module)
                names |= set() if is_module else {dotted}
                if is_module:
                    short[alias.asname or alias.name] = dotted
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in short and find_module(short[node.value.id]):
                names.add(f"{short[node.value.id]}.{node.attr}")
    return modules, names


def find_module(dotted: str) -> bool:
    """Whether the dotted name is a module or package of this course."""
    place = ROOT.joinpath(*dotted.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def find_anatomy_faults(path: Path, notebook: dict) -> list[str]:
    """Faults of the anatomy: title, badges, table, setup cell, last sections, slides, exercises."""
    faults = []
    cells = notebook["cells"]
    sources = [read_source(cell) for cell in cells]
    prose = ["" if cell["cell_type"] == "code" else read_source(cell) for cell in cells]
    if not prose[0].startswith("# ") or format_badges(path.name) not in prose[0]:
        faults.append(f"the first cell is not a title with the badges {format_badges(path.name)}")
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
    """Faults of a piece of Markdown: words that hurry or shout, open folds, images alone."""
    words = re.finditer(r"!|\b(?:simply|just)\b", strip_code(text), re.IGNORECASE)
    faults = [f"the prose says {word[0]!r}" for word in words]
    if text.count("<details") != text.count("</details>"):
        faults.append("a <details> without its </details>")
    if re.search(r"!\[\s*\]\(|<img(?![^>]*\balt=)", text):
        faults.append("an image without a description")
    return faults


def find_code_faults(cell: dict) -> list[str]:
    """Faults of a code cell as it is written: length, width, tags, metadata."""
    faults = []
    source, lines = read_source(cell), read_source(cell).splitlines()
    is_lesson = has_tag(cell, "lesson") and re.search(r"^\s*(class|def|for|while) ", source, re.M)
    if len(lines) > MAXIMUM_LINES and not is_lesson:
        faults.append(f"{len(lines)} lines, more than {MAXIMUM_LINES}")
    faults += [f"a line of {len(line)} characters" for line in lines if len(line) > LINE_WIDTH]
    if "# fmt: skip" in source:
        faults.append("a line that the formatter must skip: write it another way")
    if not set(cell["metadata"]) <= KEPT_CELL_METADATA:
        faults.append(f"metadata {sorted(set(cell['metadata']) - KEPT_CELL_METADATA)}")
    if has_tag(cell, "nbval-skip") or re.search(r"# *(NBVAL|PYTEST_VALIDATE)", source):
        faults.append("kept from nbval, or marked for it in a comment: use tags, and skip nothing")
    if has_tag(cell, "raises-exception") and not has_tag(cell, "nbval-check-output"):
        faults.append("raises-exception without nbval-check-output: nobody sees it not raise")
    if has_tag(cell, "nbval-check-output"):
        # nbval passes a cell without a count unseen, and never compares images.
        if cell["execution_count"] is None or not any(map(holds_text, cell["outputs"])):
            faults.append("tagged nbval-check-output without a count and a text to compare")
        if re.search(r"clear_output|display_id|\binteract\b|tqdm", source):
            faults.append("nbval cannot compare what clear_output, display_id, interact, tqdm show")
    return faults


def holds_text(output: dict) -> bool:
    """Whether nbval has something to compare in the output: text that stands for no image."""
    data = output.get("data", {})
    return output["output_type"] in ("stream", "error") or (
        "text/plain" in data and not any(kind.startswith("image/") for kind in data)
    )


def find_output_faults(cell: dict) -> list[str]:
    """Faults of what a cell shows: errors, warnings, widgets, images without words, paths."""
    faults = []
    for output in cell["outputs"]:
        if output["output_type"] == "error" and not has_tag(cell, "raises-exception"):
            faults.append(f"an error is shown: {output['ename']}: {output['evalue']}")
        if output.get("name") == "stderr":
            faults.append(f"stderr is shown: {''.join(output['text']).strip()[:200]!r}")
        data = output.get("data", {})
        if WIDGET_VIEW in data:
            faults.append("a live widget is stored")
        for kind in data:
            if kind.startswith("image/") and not output["metadata"].get(kind, {}).get("alt"):
                faults.append("an image is shown without a description")
        texts = [output.get("text", ""), output.get("evalue", ""), output.get("traceback", "")]
        texts += [content for kind, content in data.items() if kind.startswith("text/")]
        for text in map("".join, texts):
            text = re.sub(r"data:image/[^\"')]*", "", text)  # an embedded image is no path
            known = [place for place in (str(ROOT), str(Path.home())) if f"{place}/" in text]
            found = known + ABSOLUTE_PATH.findall(text)
            if found:
                faults.append(f"a path of a machine is shown: {found[0]}")
    return faults


def find_unsupported_numbers(notebook: dict, stored: str = "") -> list[str]:
    """Numbers of cells tagged `notice` that no output of the same section shows.

    A number is shown where an output's text or alt text, or `stored`, has one that it is or that
    rounds to it. One sentence for each that is not.
    """
    claims: list[tuple[str, str]] = []  # of this section: number, where it stands
    shown: list[str] = []
    faults = []

    def close_section() -> None:
        numbers = [float(text.replace(",", "")) for text in NUMBER.findall("\n".join(shown))]
        for claimed, line in claims:
            value, digits = float(claimed.replace(",", "")), len(claimed.partition(".")[2])
            # Half a digit up or down: 2.5 is "3" to a reader and 2 to Python.
            if not any(abs(number - value) <= 0.5 * 10**-digits + 1e-9 for number in numbers):
                faults.append(f"'{line.strip()[:60]}…' says of {claimed}")

    for cell in notebook["cells"]:
        source = read_source(cell)
        if cell["cell_type"] == "code":
            shown += read_shown_texts(cell)
            continue
        if re.search(r"^## ", source, re.MULTILINE):
            close_section()
            claims, shown = [], [stored]
        if has_tag(cell, "notice"):
            lines = strip_code(source).splitlines()
            claims += [(number, line) for line in lines for number in NUMBER.findall(line)]
    close_section()
    return faults


def read_shown_texts(cell: dict) -> list[str]:
    """Everything in a cell's outputs that can be read: streams, texts, alt texts."""
    texts = []
    for output in cell["outputs"]:
        texts.append("".join(output.get("text", "")))
        texts.append("".join(output.get("evalue", "")))
        for kind, content in output.get("data", {}).items():
            if kind.startswith("text/"):
                texts.append("".join(content))
        texts += [
            about.get("alt", "")
            for about in output.get("metadata", {}).values()
            if isinstance(about, dict)
        ]
    return texts
