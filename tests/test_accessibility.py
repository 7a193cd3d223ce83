"""Every control has a name; that no figure says by colour alone is tested with the figures."""

import ast

from utils.settings import ROOT
from utils.widgets import make_control

WITHOUT_WORDS = {"HBox", "VBox", "HTML"}  # boxes, and what shows the answer


def find_nameless(source: str) -> list[int]:
    """Lines that make a control of ipywidgets without a description."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if ast.unparse(node.func.value) != "ipywidgets" or node.func.attr in WITHOUT_WORDS:
            continue
        words = [keyword.value for keyword in node.keywords if keyword.arg == "description"]
        if not words or (isinstance(words[0], ast.Constant) and not words[0].value):
            found.append(node.lineno)
    return found


def test_every_control_has_a_name() -> None:
    modules = sorted((ROOT / "utils" / "widgets").glob("*.py"))
    assert len(modules) >= 5
    nameless = {path.name: find_nameless(path.read_text("utf-8")) for path in modules}
    assert not any(nameless.values()), nameless
    without = "ipywidgets.Button(icon='check')\nipywidgets.Text(description='')"
    assert find_nameless(without) == [1, 2]


def test_a_control_is_named_in_words() -> None:
    kinds = ((0, 9, 1), (0.0, 1.0, 0.5), [1, 2], ["a"], {"b": 1}, "button")
    for values in kinds:
        assert make_control("smallest_crop", values).description == "smallest crop"
