"""The spine of notebooks 01 to 04, alone: plain PyTorch that ends with three trained networks."""

import ast
from dataclasses import replace

import pytest
import torch
from typed import list_spine

from utils.settings import ROOT, load_settings

CORE = sorted((ROOT / "notebooks").glob("0[1-4]_*.ipynb"))
# What a spine cell may take from utils: data, the offline backbone, checks and what shows things.
ALLOWED = ("settings", "download", "claims", "exercises", "plots", "widgets")
OFFLINE_BACKBONE = ("utils.models", "load_efficientnet_lite0")
TYPED = {"train_one_epoch", "evaluate", "criterion"}  # in notebook 02, and imported from there on


def find_forbidden(source: str) -> list[str]:
    """What a cell imports of utils beyond what is allowed."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("utils"):
            for alias in node.names:
                room = (node.module + "." + alias.name).split(".")[1]
                typed = node.module == "utils.training" and alias.name in TYPED
                offline = (node.module, alias.name) == OFFLINE_BACKBONE
                if room not in ALLOWED and not typed and not offline:
                    found.append(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] == "utils"]
    return found


def drop_training_imports(source: str) -> str:
    """The cell without its import of the loop: what notebook 02 has typed stays in its place."""
    tree = ast.parse(source)
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.ImportFrom) and node.module == "utils.training")
    ]
    return ast.unparse(tree)


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_spine_is_plain_pytorch(path) -> None:
    cells = list_spine(path)
    assert cells, "no spine"
    assert [name for source in cells for name in find_forbidden(source)] == []


@pytest.mark.slow
def test_the_spine_alone_trains_three_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    settings = replace(load_settings("sample"), custom_cnn_epochs=1)
    settings.home.mkdir(parents=True, exist_ok=True)
    names: dict = {"settings": settings}
    calls: list[int] = []
    trained = {}
    for path in CORE:
        for number, source in enumerate(list_spine(path)):
            code = compile(drop_training_imports(source), f"{path.stem}, spine {number}", "exec")
            exec(code, names)
            if "def train_one_epoch" in source:  # typed once, and counted from here on
                typed = names["train_one_epoch"]

                def counted(*arguments, typed=typed):
                    calls.append(sum(p.numel() for p in arguments[0].parameters()))
                    return typed(*arguments)

                names["train_one_epoch"] = counted
        trained[path.stem[:2]] = names.get("model")
    with torch.no_grad():
        test = names["test_loader"]
        accuracy = {key: names["evaluate"](trained[key], test)[1] for key in ("03", "04")}
    assert accuracy["03"] > 0.95, accuracy
    assert accuracy["04"] > 0.9, accuracy
    assert type(trained["02"]).__name__ == "CustomCNN"
    sizes = set(calls)
    assert 11_169_218 in sizes  # the custom CNN
    assert 2_562 in sizes  # a head on features
    assert max(sizes - {11_169_218}) > 3_000_000  # the whole backbone with its head
