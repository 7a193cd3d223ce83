"""Every notebook in a real JupyterLab: no cell fails, and every control does what it says."""

from pathlib import Path

import controls
import pytest
from lab import Lab
from playwright.sync_api import Browser

from tools.notebooks import find_notebooks
from utils.settings import ROOT

PICTURES = ROOT / "_build" / "browser"
# A notebook that is not named here has no controls: one that it is given later fails the test.
OPERATIONS = {
    "01": [controls.vary_images],
    "02": [controls.turn_kernel],
    "03": [controls.use_few_images],
    "05": [
        controls.upload_photos,
        controls.judge_photo,
        controls.go_through_mistakes,
        controls.review_labels,
    ],
    "06": [controls.leaf_through_maps],
    "07": [controls.warm_up],
    "08": [controls.damage_images],
    "09": [controls.rent_gpus],
}


@pytest.mark.parametrize("path", find_notebooks(), ids=lambda path: path.stem)
def test_notebook(path: Path, lab: Lab, browser: Browser) -> None:
    copy = lab.root / "notebooks" / path.name
    with lab.open(browser, copy, PICTURES / path.stem) as notebook:
        assert notebook.find_faults() == []
        for operate in OPERATIONS.get(path.stem[:2], []):
            operate(notebook)
        assert notebook.list_untouched() == []
        assert notebook.find_faults() == []
