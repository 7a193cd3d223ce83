"""The house: which room may use which, how many there are, and what importing them does."""

import ast
import importlib
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from utils.settings import ROOT

ORDER = (
    "settings claims files download data models training features finetuning runs recipes "
    "predict inspection distributed plots widgets exercises"
).split()
LEAVES = ("plots", "widgets", "exercises")  # used by notebooks, and by each other in this order
MOST_ROOMS_DEEP, MOST_FILES_DEEP = 9, 15  # of a chain of imports, from settings up to widgets
PATHS = sorted((ROOT / "utils").rglob("*.py"))
MOST_PARAMETERS, MOST_OF_FIT = 6, 8
MOST_LINES = 6_000


def find_room(path: Path) -> str:
    inside = path.relative_to(ROOT / "utils")
    return inside.parts[0].removesuffix(".py")


def name_module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def list_imports(path: Path) -> set[str]:
    """The packages and modules of this repository that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name for name in names if name.split(".")[0] in ("utils", "tools", "tests")}
    return found


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    own = find_room(path)
    for name in list_imports(path):
        package, _, rest = name.partition(".")
        assert package == "utils", f"utils uses {name}"
        other = rest.split(".")[0]
        if other in ORDER and other != own and own in ORDER:
            assert ORDER.index(other) < ORDER.index(own), f"{own} uses {other}"
            assert other not in LEAVES or own in LEAVES, f"{own} uses the leaf {other}"


def find_depth(graph: dict[str, set[str]]) -> int:
    """The nodes of the longest chain of imports; graphlib's CycleError names a circle."""
    depths: dict[str, int] = {}
    for node in TopologicalSorter(graph).static_order():
        depths[node] = 1 + max((depths[other] for other in graph.get(node, ())), default=0)
    return max(depths.values())


def test_imports_have_no_circle_and_are_not_deep() -> None:
    files = {name_module(path): path for path in PATHS}
    graph = {
        name: {other for other in list_imports(path) if other in files} - {name, "utils"}
        for name, path in files.items()
    }
    rooms: dict[str, set[str]] = {room: set() for room in ORDER}
    for name in graph.keys() - {"utils"}:
        room = name.split(".")[1]
        rooms[room] |= {other.split(".")[1] for other in graph[name]} - {room}
    assert find_depth(rooms) <= MOST_ROOMS_DEEP, rooms
    assert find_depth(graph) <= MOST_FILES_DEEP, graph
    with pytest.raises(CycleError):
        find_depth({"a": {"b"}, "b": {"a"}})


@pytest.mark.parametrize(
    ("wanted", "room"),
    [
        ("resume", "training"),
        ("split", "data"),
        ("Grad-CAM", "notebook 05"),
        ("retry", "download/"),
        ("few images", "widgets/"),
    ],
)
def test_the_map_says_where_things_are(wanted: str, room: str) -> None:
    lines = importlib.import_module("utils").__doc__.splitlines()
    assert any(wanted in line and room in line for line in lines)


def test_the_house_is_small() -> None:
    top = [p for p in (ROOT / "utils").iterdir() if p.name != "__pycache__"]
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in PATHS)
    assert len(top) <= 18, sorted(path.name for path in top)
    assert lines <= MOST_LINES, lines


def test_the_map_names_every_room() -> None:
    text = ast.get_docstring(ast.parse((ROOT / "utils" / "__init__.py").read_text("utf-8")))
    named = [line.split()[0].rstrip("/") for line in text.splitlines() if line[:1].islower()]
    there = {find_room(path) for path in PATHS} - {"__init__"}
    assert named == ORDER and set(named) == there


def test_public_functions_are_typed_described_and_short_of_parameters() -> None:
    faults = []
    for path in PATHS:
        name = name_module(path)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            arguments = [*node.args.args, *node.args.kwonlyargs]
            limit = MOST_OF_FIT if node.name == "fit" else MOST_PARAMETERS
            if len(arguments) > limit:
                faults.append(f"{name}.{node.name}: {len(arguments)} parameters")
            if not ast.get_docstring(node) and "exercises" not in name:
                faults.append(f"{name}.{node.name}: no docstring")
            bare = [a.arg for a in arguments if a.annotation is None]
            if bare and "exercises" not in name:
                faults.append(f"{name}.{node.name}: no type of {', '.join(bare)}")
    assert not faults, "\n".join(faults)


@pytest.mark.slow
def test_importing_the_rooms_changes_and_prints_nothing(tmp_path: Path) -> None:
    names = [name_module(path) for path in PATHS if path.name != "__main__.py"]
    code = f"""
import importlib, os, sys
sys.path.insert(0, {str(ROOT)!r})
before = dict(os.environ)
import torch; seed = torch.initial_seed()
for name in {names!r}: importlib.import_module(name)
assert torch.initial_seed() == seed
# libraries may set a variable of their own; ours are called COURSE_…
assert {{k: v for k, v in os.environ.items() if k.startswith("COURSE")}} == \\
    {{k: v for k, v in before.items() if k.startswith("COURSE")}}
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "" and list(tmp_path.iterdir()) == []


def test_the_environment_is_read_in_one_room() -> None:
    readers = {
        find_room(path)
        for path in PATHS
        if "COURSE_" in path.read_text("utf-8") and "os.environ" in path.read_text("utf-8")
    }
    # The commands hand what is typed on to the settings.
    assert readers <= {"settings", "download", "predict", "distributed"}, readers
