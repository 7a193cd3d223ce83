"""The course's work shared by many processes, one a GPU, or some on a processor's cores:

    torchrun --standalone --nproc_per_node=2 -m utils.train_distributed features
    torchrun --standalone --nproc_per_node=2 -m utils.train_distributed finetune --epochs 3
    torchrun --standalone --nproc_per_node=2 -m utils.train_distributed measure

`features` computes what notebook 03 trains its head on; `finetune` is notebook 04's careful way,
saved as the run `distributed`; `measure` times training steps, with and without the exchange of
gradients. Dataset, backbone and home are the course's own settings (COURSE_PROFILE, COURSE_DATA,
COURSE_BACKBONE, COURSE_HOME). A job that was ended goes on where it was, with as many processes as
you then start. Across machines, replace --standalone by --nnodes and a --rdzv-endpoint.
"""

import argparse
import contextlib
import io
import json
import math
import os
import sys
from dataclasses import replace

# PyTorch takes seconds to import, and tqdm looks at its variable when it is imported: both come
# when it is known who speaks.

BATCH_SIZE = 32
HEAD_RATE = 1e-4  # notebook 04's, for a batch of 32


def main(arguments: list[str] | None = None) -> int:
    """Do this process's share of a command; returns the exit code."""
    given = parse_arguments(arguments)
    if os.environ.get("RANK", "0") != "0":
        os.environ["TQDM_DISABLE"] = "1"
    from utils.errors import CourseError

    try:
        run_command(given)
    except CourseError as error:  # known before the processes have met: each knows it
        if os.environ.get("RANK", "0") == "0":
            print(error, file=sys.stderr)
        return 1
    return 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m utils.train_distributed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("features", help="compute a frozen backbone's features of all pictures")
    finetune = commands.add_parser("finetune", help="train the backbone on from stage 3 up")
    finetune.add_argument("--epochs", type=int, help="default: the profile's")
    measure = commands.add_parser("measure", help="time training steps; prints a line of JSON")
    for command in (finetune, measure):
        command.add_argument(
            "--batch-size", type=int, default=BATCH_SIZE, help="pictures of all processes together"
        )
    finetune.add_argument("--rate", type=float, default=HEAD_RATE, help="the head's learning rate")
    measure.add_argument("--steps", type=int, default=8, help="steps of each kind")
    return parser.parse_args(arguments)


def run_command(given: argparse.Namespace) -> None:
    from utils.distributed import join_processes, settle
    from utils.settings import load_settings

    with silence_others():
        settings = load_settings()
        with join_processes("cpu" if settings.device == "mps" else settings.device) as processes:
            settings = settle(settings, processes)
            if given.command == "features":
                share_features(settings, processes)
            elif given.command == "finetune":
                share_finetuning(settings, processes, given)
            else:
                share_steps(settings, processes, given)


def silence_others() -> contextlib.AbstractContextManager:
    """Lines for the reader come from the first process alone; errors come from any."""
    if os.environ.get("RANK", "0") == "0":
        return contextlib.nullcontext()
    return contextlib.redirect_stdout(io.StringIO())


def open_pictures(settings, processes):
    """The dataset, its three decoded splits by name, and the preprocessing.

    The first process downloads, decodes and fetches weights, while the others wait.
    """
    from utils.data import open_dataset
    from utils.pictures import decode_split
    from utils.weights import fetch_weights, find_preprocessing

    preprocessing = find_preprocessing(settings.backbone)

    def prepare():
        dataset = open_dataset(settings)
        splits = (dataset.train, dataset.validation, dataset.test)
        pictures = {one.name: decode_split(one, preprocessing, settings.home) for one in splits}
        fetch_weights(settings.backbone)
        return dataset, pictures

    dataset, pictures = processes.take_turns(prepare)
    return dataset, pictures, preprocessing


def share_features(settings, processes) -> None:
    """Features of all three splits, where notebook 03 finds them."""
    from utils.feature_shards import extract_shared

    _, pictures, preprocessing = open_pictures(settings, processes)
    for name, one in pictures.items():
        computed, seconds = extract_shared(settings, one, preprocessing, processes)
        speed = f", {computed / seconds:.0f} a second" if computed else ""
        print(f"{name}: {len(one):,} pictures, {computed:,} of them computed now{speed}.")


def share_finetuning(settings, processes, given: argparse.Namespace) -> None:
    """Notebook 04's careful fine-tuning, with its seed, rates and average, tested once, saved."""
    import torch
    from torch.optim.lr_scheduler import LambdaLR

    from utils.feature_shards import extract_shared
    from utils.features import extract_features
    from utils.finetuning import (
        average_weights,
        copy_state,
        group_parameters,
        unfreeze_from,
        warm_up_then_cosine,
    )
    from utils.models import load_backbone, replace_head
    from utils.recipes import HALF, load_frozen, plan_fine_tuning, refit_head, save_training
    from utils.runs import find_folder, format_accuracy
    from utils.training import evaluate, fit

    dataset, pictures, preprocessing = open_pictures(settings, processes)
    train, validation, test = (pictures[name] for name in ("train", "validation", "test"))
    plan = replace(
        plan_fine_tuning(settings, preprocessing),
        epochs=given.epochs or settings.unfrozen_epochs,
        batch_size=given.batch_size,
    )
    processes.divide(plan)  # what cannot be shared is noticed before minutes of features
    processes.share_evaluation(validation)
    processes.share_evaluation(test)
    for one in (train, test):
        extract_shared(settings, one, preprocessing, processes)

    def make_start() -> dict[str, torch.Tensor]:
        frozen = load_frozen(settings, dataset, train, quiet=True)
        return copy_state(refit_head(frozen, extract_features(settings, train, preprocessing)))

    start = processes.ask_first(make_start)
    model = load_backbone(settings.backbone)
    replace_head(model, len(dataset.classes))
    model.load_state_dict(start)
    unfreeze_from(model, "stage 3")
    optimizer = torch.optim.Adam(group_parameters(model, given.rate))
    steps = plan.epochs * math.ceil(len(train) / plan.batch_size)
    schedule = LambdaLR(optimizer, lambda step: warm_up_then_cosine(step, steps))
    checkpoint = find_folder(settings, "distributed") / "checkpoint.pt"

    def report(history) -> None:
        done = len(history.seconds)
        print(
            f"part {done}: training loss {history.train_loss[-1]:.4f}, validation accuracy "
            f"{history.validation_accuracy[-1]:.1%}, {history.seconds[-1]:.1f} s",
            flush=True,
        )

    history = fit(
        model, optimizer, train, validation, plan, schedule, checkpoint, report,
        processes=processes,
    )  # fmt: skip
    model.load_state_dict(average_weights(start, copy_state(model), HALF))
    result = evaluate(model, test, plan, processes)
    print(f"Test accuracy: {format_accuracy(result.correct, len(result.labels))}")
    shown = plan.epochs * len(train) / sum(history.seconds)
    print(f"{processes.size} processes, batch of {plan.batch_size}: {shown:.0f} pictures a second")
    if processes.is_first:
        save_training(settings, "distributed", dataset, train, result, model, plan, history)


def share_steps(settings, processes, given: argparse.Namespace) -> None:
    """Time steps of the fine-tuning and print them as a line of JSON."""
    from utils.distributed_speed import measure_steps

    _, pictures, preprocessing = open_pictures(settings, processes)
    measured = measure_steps(
        settings, processes, pictures["train"], preprocessing, given.batch_size, given.steps
    )
    print(json.dumps(measured))


if __name__ == "__main__":
    exit_code = main()
    # Past all destructors: threads of PyTorch's have been seen to abort a process that was done.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
