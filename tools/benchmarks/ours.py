"""What every row of our side begins with."""

from pathlib import Path

from utils.data import Split, find_classes, list_split
from utils.settings import Settings, load_settings
from utils.training import Plan
from utils.weights import Preprocessing, find_preprocessing


def choose_settings(home: Path | str, backbone: str = "efficientnet_lite0") -> Settings:
    return load_settings(profile="sample", backbone=backbone, home=str(home))


def list_folder(folder: str, name: str = "train") -> Split:
    """Every picture of `folder/<class>/`, as `open_dataset` lists a part of a dataset."""
    return list_split(name, Path(folder), find_classes(Path(folder)))


def make_plan(settings: Settings, epochs: int = 1) -> tuple[Plan, Preprocessing]:
    """How the notebooks train."""
    preprocessing = find_preprocessing(settings.backbone)
    plan = Plan(
        epochs, preprocessing, device=settings.device, precision=settings.precision
    )
    return plan, preprocessing
