"""The course's own runs, made on the spot where a notebook needs one that is not there yet."""

import math
import time
from pathlib import Path

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from utils.augmentation import Augmentation
from utils.data import Dataset
from utils.features import Features, evaluate_head, extract_features, fit_head, train_head
from utils.finetuning import (
    average_weights,
    copy_state,
    group_parameters,
    unfreeze_from,
    warm_up_then_cosine,
)
from utils.models import (
    CustomCNN,
    count_parameters,
    find_head,
    freeze,
    load_backbone,
    replace_head,
)
from utils.pictures import Pictures, decode_split
from utils.runs import Run, find_folder, find_run, load_run_weights, save_run
from utils.settings import Settings
from utils.training import Evaluation, History, Plan, evaluate, fit
from utils.weights import Preprocessing, find_preprocessing

HEAD_EPOCHS = 10
CUSTOM_CNN_RATE = 0.0003  # Adam's own 0.001 leaves some seeds at the untrained loss
HALF = 0.5  # of the way from the frozen to the fine-tuned weights


def load_custom_cnn(
    settings: Settings, dataset: Dataset, train: Pictures, quiet: bool = False
) -> CustomCNN:
    """Notebook 02's network in eval mode; it is trained first, as it is there, if need be."""
    run = find_run(settings, "custom_cnn", train)
    if run is None:
        print("There is no custom CNN yet: training notebook 02's now.")
        run = make_custom_cnn(settings, dataset, train)
        print(f"Trained it on {run.n_train:,} pictures in {run.seconds:.0f} s.")
    elif not quiet:
        print(f"Found the custom CNN of notebook 02, trained on {run.n_train:,} pictures.")
    model = CustomCNN(len(dataset.classes))
    model.load_state_dict(load_run_weights(settings, "custom_cnn"))
    return model.eval()


def make_custom_cnn(settings: Settings, dataset: Dataset, train: Pictures) -> Run:
    """Notebook 02 in short: the same seed, plan and checkpoint, so the same weights."""
    preprocessing = find_preprocessing(settings.backbone)
    validation = decode_split(dataset.validation, preprocessing, settings.home)
    plan = Plan(
        epochs=settings.custom_cnn_epochs,
        preprocessing=preprocessing,
        device=settings.device,
        precision=settings.precision,
    )
    torch.manual_seed(0)
    model = CustomCNN(len(dataset.classes))
    optimizer = torch.optim.Adam(model.parameters(), lr=CUSTOM_CNN_RATE)
    checkpoint = find_folder(settings, "custom_cnn") / "checkpoint.pt"
    history = fit(model, optimizer, train, validation, plan, checkpoint=checkpoint)
    test = decode_split(dataset.test, preprocessing, settings.home)
    result = evaluate(model, test, plan)
    return save_training(settings, "custom_cnn", dataset, train, result, model, plan, history)


def ensure_frozen(
    settings: Settings, dataset: Dataset, train: Pictures, quiet: bool = False
) -> Run:
    """Notebook 03's run as it is on disk; it is made first if need be.

    Where it is there no network is built: what builds one takes longer to import than PyTorch.
    """
    run = find_run(settings, "frozen", train)
    if run is None:
        run = make_frozen(settings, dataset, train)
        print(f"There was no frozen run yet: made notebook 03's in {run.seconds:.1f} s.")
    elif not quiet:
        print(f"Found the frozen run of notebook 03, trained on {run.n_train:,} pictures.")
    return run


def load_frozen(
    settings: Settings, dataset: Dataset, train: Pictures, quiet: bool = False
) -> nn.Module:
    """The frozen backbone with notebook 03's head on it; the head is trained first if need be."""
    ensure_frozen(settings, dataset, train, quiet)
    model = load_backbone(settings.backbone)
    freeze(model)
    head = replace_head(model, len(dataset.classes))
    head.load_state_dict(load_run_weights(settings, "frozen"))
    return model


def make_frozen(settings: Settings, dataset: Dataset, train: Pictures) -> Run:
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
        trainable_parameters=count_parameters(head)[1],  # all of the head's
    )


def load_unfrozen(
    settings: Settings, dataset: Dataset, train: Pictures, quiet: bool = False
) -> nn.Module:
    """Notebook 04's fine-tuned network in eval mode; it is fine-tuned first if need be."""
    run = find_run(settings, "unfrozen", train)
    if run is None:
        print("There is no unfrozen run yet: fine-tuning as in notebook 04 now.")
        run = make_unfrozen(settings, dataset, train)
        print(f"Fine-tuned on {run.n_train:,} pictures in {run.seconds:.0f} s.")
    elif not quiet:
        print(f"Found the unfrozen run of notebook 04, trained on {run.n_train:,} pictures.")
    model = load_backbone(settings.backbone)
    replace_head(model, len(dataset.classes))
    model.load_state_dict(load_run_weights(settings, "unfrozen"))
    return model.eval()


def refit_head(model: nn.Module, features: Features) -> nn.Module:
    """The best linear head for these features put into `model`, in place of the one it has."""
    head = fit_head(features, weight_decay=0.001)
    model.get_submodule(find_head(model)).load_state_dict(head.state_dict())
    return model


def plan_fine_tuning(settings: Settings, preprocessing: Preprocessing) -> Plan:
    """How notebook 04 trains on: stronger views, batch norm kept, gradients clipped, in float32."""
    return Plan(
        epochs=settings.unfrozen_epochs,
        preprocessing=preprocessing,
        augmentation=Augmentation(rotation=20.0, smallest_crop=0.4, brightness=0.4),
        evaluations_per_epoch=4,
        freeze_statistics=True,
        largest_gradient=1.0,
        device=settings.device,
    )


def fine_tune(
    model: nn.Module,
    train: Pictures,
    validation: Pictures,
    plan: Plan,
    checkpoint: Path | None = None,
) -> History:
    """Train `model` on from stage 3 up, in place: falling rates, warm-up, half a cosine."""
    unfreeze_from(model, "stage 3")
    optimizer = torch.optim.Adam(group_parameters(model))
    steps = plan.epochs * math.ceil(len(train) / plan.batch_size)
    schedule = LambdaLR(optimizer, lambda step: warm_up_then_cosine(step, steps))
    return fit(model, optimizer, train, validation, plan, schedule, checkpoint)


def make_unfrozen(settings: Settings, dataset: Dataset, train: Pictures) -> Run:
    """Notebook 04 in short: the best head, fine-tuned, averaged, tested once, saved."""
    preprocessing = find_preprocessing(settings.backbone)
    validation = decode_split(dataset.validation, preprocessing, settings.home)
    plan = plan_fine_tuning(settings, preprocessing)
    model = load_frozen(settings, dataset, train, quiet=True)
    model = refit_head(model, extract_features(settings, train, preprocessing))
    start = copy_state(model)
    checkpoint = find_folder(settings, "unfrozen") / "checkpoint.pt"
    history = fine_tune(model, train, validation, plan, checkpoint)
    model.load_state_dict(average_weights(start, copy_state(model), HALF))
    test = decode_split(dataset.test, preprocessing, settings.home)
    result = evaluate(model, test, plan)
    return save_training(settings, "unfrozen", dataset, train, result, model, plan, history)


def save_training(
    settings: Settings,
    name: str,
    dataset: Dataset,
    train: Pictures,
    test: Evaluation,
    model: nn.Module,
    plan: Plan,
    history: History,
) -> Run:
    """A training that `fit` has finished, saved as the run `name`."""
    return save_run(
        settings,
        name,
        dataset,
        train,
        test,
        model,
        epochs=plan.epochs,
        seconds=sum(history.seconds),
        history=history,
        trainable_parameters=count_parameters(model)[0],
    )
