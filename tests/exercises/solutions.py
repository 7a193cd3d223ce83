"""What all tests of exercises share: the solutions out of the notebooks, and what check prints."""

import contextlib
import io
import re

import nbformat

from utils import exercises
from utils.settings import ROOT

NOT_TRIED = "not tried yet"


def judge(number: str, answer) -> str:
    """What `exercises.check` prints of an answer."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exercises.check(number, answer)
    return printed.getvalue().strip()


def find_solution(notebook: str, number: str) -> str:
    """The folded solution that follows an exercise's heading in a notebook."""
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", 4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    after = text.split(f"### Exercise {number} ", 1)[1]
    own = re.split(r"^### Exercise ", after, maxsplit=1, flags=re.MULTILINE)[0]
    return re.search(r"<summary>Solution</summary>\s*```python\n(.*?)```", own, re.DOTALL)[1]


def run_solution(notebook: str, number: str, names: dict) -> dict:
    """The names that a solution defines, run with `names` around it."""
    around = dict(names)
    exec(find_solution(notebook, number), around)
    return around
