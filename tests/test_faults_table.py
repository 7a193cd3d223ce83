"""The table of faults in tests/README.md names tests that exist and sentences that are printed."""

import ast
import functools
import re
from pathlib import Path

import pytest

from utils.settings import ROOT

TESTS = Path(__file__).parent
TABLE = (TESTS / "README.md").read_text(encoding="utf-8")
ROWS = [line.split("|")[1:4] for line in TABLE.splitlines() if re.match(r"\| \d+ ", line)]


def list_tests(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@functools.cache
def collect_texts() -> str:
    """Every text constant of the course's code, parts of f-strings one by one."""
    constants = [
        node.value
        for path in sorted((ROOT / "utils").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return "\n".join(constants)


def test_every_fault_has_its_row() -> None:
    assert [int(fault.split()[0]) for fault, _, _ in ROWS] == list(range(1, 35))


def test_tests_of_the_table_exist() -> None:
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", TABLE)
    missing = [f"{file}::{name}" for file, name in named if name not in list_tests(file)]
    assert not missing and len(named) > 34
    for fault, tests, _ in ROWS:
        assert "::" in tests, fault


@pytest.mark.parametrize("fault, tests, seen", ROWS, ids=[row[0].split()[0] for row in ROWS])
def test_sentences_of_the_table_are_the_courses(fault: str, tests: str, seen: str) -> None:
    texts = collect_texts()
    for sentence in re.findall(r"(?<!\\)\*((?:[^*]|\\\*)+?)(?<!\\)\*", seen):
        for part in re.split("…", sentence.replace("\\*", "*")):
            # What the table closes a sentence with may stand in another constant of the code.
            assert part.strip(" .,():;") in texts, (fault, part)


def test_numbered_tests_stand_in_the_table() -> None:
    numbered = [
        f"{path.name}::{name}"
        for path in sorted(TESTS.glob("test_*.py"))
        for name in list_tests(path.name)
        if re.match(r"test_fault_\d\d_", name)
    ]
    forgotten = [name for name in numbered if f"`{name}`" not in TABLE]
    assert not forgotten and len(numbered) > 60
