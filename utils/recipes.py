"""The course's own runs, made on the spot where a notebook needs one that is not there yet."""

import time

from torch import nn

from utils.data import Dataset
from utils.features import evaluate_head, extract_features, train_head
from utils.models import count_parameters, freeze, load_backbone, replace_head
from utils.pictures import Pictures, decode_split
from utils.runs import find_run, load_run_weights, save_run
from utils.settings import Settings
from utils.weights import find_preprocessing

HEAD_EPOCHS = 10


def load_frozen(
    settings: Settings, dataset: Dataset, train: Pictures, quiet: bool = False
) -> nn.Module:
    """The frozen backbone with notebook 03's head on it; the head is trained first if need be."""
    model = load_backbone(settings.backbone)
    freeze(model)
    head = replace_head(model, len(dataset.classes))
    run = find_run(settings, "frozen", train)
    if run is None:
        run = make_frozen(settings, dataset, train, count_parameters(model)[0])
        print(f"There was no frozen run yet: made notebook 03's in {run.seconds:.1f} s.")
    elif not quiet:
        print(f"Found the frozen run of notebook 03, trained on {run.n_train:,} pictures.")
    head.load_state_dict(load_run_weights(settings, "frozen"))
    return model


def make_frozen(settings: Settings, dataset: Dataset, train: Pictures, trainable: int):
    """Notebook 03 in short: features once, the head on them, tested once, saved."""
    preprocessing = find_preprocessing(settings.backbone)
    features = extract_features(settings, train, preprocessing)
    start = time.perf_counter()
    head = train_head(features, HEAD_EPOCHS)
    seconds = features.seconds + time.perf_counter() - start
    test = decode_split(dataset.test, preprocessing, settings.home)
    result = evaluate_head(head, extract_features(settings, test, preprocessing))
    return save_run(
        settings,
        "frozen",
        dataset,
        train,
        result,
        head,
        epochs=HEAD_EPOCHS,
        seconds=seconds,
        trainable_parameters=trainable,
    )
