"""An executed notebook made fit for committing: same outputs, same bytes, on any machine."""

import base64
import hashlib
import io
import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

from utils.settings import CourseError

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KEPT_CELL_METADATA = {"tags", "slideshow", "jupyter", "cellView"}
# No patch version of Python, and a graphics card when Colab opens the notebook.
NOTEBOOK_METADATA = {
    "accelerator": "GPU",
    "colab": {"gpuType": "T4", "provenance": []},
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}
# What a widget says where it cannot be drawn: HBox(children=(…)), or tqdm's `40%|███   | 4/10 […]`
WIDGET_TEXT = re.compile(r"\s*[A-Z]\w*\(.*\)\s*|.*\d+%\|.*|.*\d+it \[.*", re.DOTALL)


def read_notebook(path: Path) -> NotebookNode:
    """A notebook of format 4.5; a cell without an id of its own gets one made from its source.

    Raises CourseError where the file is not a notebook.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        cells = raw["cells"]
    except (ValueError, KeyError) as error:
        raise CourseError(f"{path} is not a notebook of format 4: {error!r}") from error
    raw["nbformat_minor"] = 5
    taken = set()
    for cell in cells:
        if not cell.get("id") or cell["id"] in taken:
            source = "".join(cell["source"])
            stem = hashlib.sha1(source.encode("utf-8")).hexdigest()[:8]
            names = (stem, *(f"{stem}-{number}" for number in range(2, len(cells) + 2)))
            cell["id"] = next(name for name in names if name not in taken)
        taken.add(cell["id"])
    return nbformat.reads(json.dumps(raw), as_version=4)


def clean_notebook(notebook: NotebookNode, names_of_paths: dict[Path, str]) -> None:
    """Leaves, in place, what a reader needs and nothing of the machine or the moment it ran on.

    `names_of_paths` says what stands in an output instead of a folder of this machine.
    """
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA)
    count = 0
    for cell in notebook.cells:
        cell.metadata = NotebookNode(
            {key: value for key, value in cell.metadata.items() if key in KEPT_CELL_METADATA}
        )
        if cell.cell_type != "code":
            continue
        count += bool(cell.source.strip())
        cell.execution_count = count if cell.source.strip() else None
        cell.outputs = drop_widgets(cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            shorten_paths(output, names_of_paths)
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = pack_png(output.data["image/png"])


def drop_widgets(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs without live widgets, which no file can hold; an image or text beside one stays."""
    kept = []
    for output in outputs:
        data = output.get("data", {})
        if data.pop(WIDGET_VIEW, None) is not None:
            if WIDGET_TEXT.fullmatch(data.get("text/plain", "")):
                del data["text/plain"]
            if not data:
                continue
        kept.append(output)
    return kept


def shorten_paths(output: NotebookNode, names_of_paths: dict[Path, str]) -> None:
    """Replaces the folders of this machine in an output's text, the deepest first."""

    def shorten(text: str) -> str:
        for path in sorted(names_of_paths, key=lambda path: -len(str(path))):
            name = names_of_paths[path]
            below = f"{name}/" if name else ""
            text = re.sub(rf"(?<![\w.-]){re.escape(str(path))}/(?=[\w.-])", below, text)
            # Spaces behind it keep a table's next column where it was.
            whole = rf"(?<![\w.-]){re.escape(str(path))}(?![\w-]|\.\w)/?"
            wide = len(str(path))
            text = re.sub(rf"{whole}(?=  )", (name or ".").ljust(wide), text)
            text = re.sub(whole, name or ".", text)
        return text

    if "text" in output:
        output.text = shorten(output.text)
    if "traceback" in output:
        output.traceback = [shorten(line) for line in output.traceback]
        output.evalue = shorten(output.evalue)
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/"):
            output.data[kind] = shorten(content)


def pack_png(content: str) -> str:
    """The same pixels in fewer bytes if Pillow finds a way, without the drawing program's name."""
    before = base64.b64decode(content)
    after = io.BytesIO()
    Image.open(io.BytesIO(before)).save(after, "png", optimize=True)
    return base64.b64encode(min(before, after.getvalue(), key=len)).decode("ascii")
