"""Work shared by two and three processes that torchrun starts, on this machine, with gloo."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from distributed_worker import PLAN, TRAIN, VALIDATION, make_training
from patience import HANG, wait_until
from test_training import make_pictures
from torch import nn
from torch.nn import functional as F

from utils.checkpoints import find_previous, is_whole
from utils.data import open_dataset
from utils.distributed import LOST, SEEDS_APART, ManyProcesses
from utils.errors import CourseError
from utils.features import compute_features, extract_features
from utils.models import load_backbone, remove_head
from utils.pictures import decode_split
from utils.runs import find_run
from utils.settings import ROOT, load_settings
from utils.train_distributed import main
from utils.training import draw_inputs, evaluate
from utils.weights import find_preprocessing

# Sums in another order: float32 keeps 7 digits, and a few hundred additions cost two of them.
CLOSE = {"rtol": 1e-4, "atol": 1e-6}
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
COMMAND = ["-m", "utils.train_distributed"]


def launch(processes: int, *arguments: str, home: Path | None = None, data: Path | None = None):
    """Start a job as a person would; returns the running torchrun."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "COURSE_HOME": str(home),
        "COURSE_DATA": str(data or "sample"),
        "COURSE_PROFILE": "sample",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.Popen(
        [*LAUNCH, f"--nproc_per_node={processes}", *arguments], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(job: subprocess.Popen) -> tuple[int, str, str]:
    out, errors = job.communicate(timeout=HANG)
    return job.returncode, out, errors


@pytest.fixture(scope="module", params=[2, 3])
def shared(request, tmp_path_factory) -> dict:
    """What `distributed_worker.py` found with two and with three processes."""
    folder = tmp_path_factory.mktemp(f"shared-by-{request.param}")
    code, _, errors = finish(launch(request.param, "tests/distributed_worker.py", str(folder)))
    assert code == 0, errors
    return torch.load(folder / "results.pt", weights_only=True) | {"folder": folder}


def train_alone() -> tuple[nn.Module, list[float], list[float]]:
    """The same training, written out, with the whole of each batch in one process."""
    model, optimizer = make_training()
    losses, validation_losses = [], []
    part = 0
    for epoch in range(PLAN.epochs):
        order = torch.randperm(48, generator=torch.Generator().manual_seed(3 * 1_000_003 + epoch))
        for rows in order.split(24):  # a half of an epoch, shuffled once more
            again = torch.randperm(24, generator=torch.Generator().manual_seed(PLAN.seed + part))
            taken = []
            for batch in rows[again].split(12):
                images, labels = TRAIN.load(batch.tolist())
                loss = F.cross_entropy(model(draw_inputs(images, PLAN)), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                taken.append(loss.item())
            losses.append(sum(taken) / 2)
            validation_losses.append(evaluate(model, VALIDATION, PLAN).loss)
            part += 1
    return model, losses, validation_losses


@pytest.mark.slow
def test_gradients_are_those_of_the_whole_batch(shared):
    model, _ = make_training()
    images, labels = TRAIN.load(list(range(12)))
    F.cross_entropy(model(draw_inputs(images, PLAN)), labels).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 0, name
        torch.testing.assert_close(shared["gradients"][name], parameter.grad, **CLOSE)


@pytest.mark.slow
def test_final_weights_are_those_of_one_process(shared):
    model, losses, validation_losses = train_alone()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(shared["weights"][name], tensor, **CLOSE)
    assert shared["history"]["train_loss"] == pytest.approx(losses, rel=1e-4)
    assert shared["history"]["validation_loss"] == pytest.approx(validation_losses, rel=1e-4)
    start, _ = make_training()
    assert not torch.allclose(shared["weights"]["fc.weight"], start.fc.weight, atol=1e-3)


@pytest.mark.slow
def test_all_processes_end_with_the_same_weights_and_numbers(shared):
    assert all(torch.equal(one, shared["all_weights"][0]) for one in shared["all_weights"])
    assert all(one == shared["all_histories"][0] for one in shared["all_histories"])


@pytest.mark.slow
def test_evaluation_counts_every_picture_once_and_in_order(shared):
    model, _ = make_training()
    model.load_state_dict(shared["weights"])
    alone = evaluate(model, VALIDATION, PLAN)
    for logits, labels in shared["evaluations"]:
        assert labels.tolist() == VALIDATION.split.labels.tolist()
        torch.testing.assert_close(logits, alone.logits, **CLOSE)


@pytest.mark.slow
def test_each_epoch_deals_all_pictures_out_in_another_order(shared):
    for part in range(3):
        dealt = [row for orders in shared["orders"] for row in orders[part]]
        assert sorted(dealt) == list(range(48))
    assert len({tuple(order) for order in shared["orders"][0]}) == 3
    size = len(shared["uneven"])
    dealt = sum(shared["uneven"], [])
    assert set(dealt) == set(range(11)) and len(dealt) == size * -(-11 // size)


@pytest.mark.slow
def test_no_two_processes_draw_the_same_views(shared):
    drawn = [views for parts in shared["views"] for views in parts]
    for number, views in enumerate(drawn):
        assert not any(torch.equal(views, other) for other in drawn[:number])


@pytest.mark.slow
def test_one_process_goes_first(shared):
    assert set(shared["asked"]) == {0}
    assert shared["turns"] == [True] + [False] * (len(shared["turns"]) - 1)


@pytest.mark.slow
def test_a_training_goes_on_with_another_number_of_processes(shared):
    """Its checkpoint of the last part is taken away: one process goes on from the one before."""
    model, _, _ = train_alone()
    checkpoint = shared["folder"] / "checkpoint.pt"
    find_previous(checkpoint).replace(checkpoint)
    code, out, errors = finish(launch(1, "tests/distributed_worker.py", str(shared["folder"])))
    assert code == 0 and "checkpoint" not in out, out + errors
    results = torch.load(shared["folder"] / "results.pt", weights_only=True)
    assert shared["parts_trained"] == [1, 2, 3, 4] and results["parts_trained"] == [4]
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(results["weights"][name], tensor, **CLOSE)


def make_alone() -> ManyProcesses:
    """A process as it knows itself, without any others to talk to."""
    return ManyProcesses(1, 3, 1, None)


def test_batch_without_equal_parts_is_refused_in_a_sentence():
    with pytest.raises(CourseError, match="no equal parts for 3 processes.*such as 33"):
        make_alone().divide(replace(PLAN, batch_size=32))
    assert make_alone().divide(replace(PLAN, batch_size=33)).batch_size == 11


def test_batch_norm_that_learns_statistics_is_refused():
    model, _ = make_training()
    with pytest.raises(CourseError, match="freeze_statistics"):
        make_alone().wrap(model, replace(PLAN, freeze_statistics=False))


def test_more_processes_than_pictures_are_refused():
    with pytest.raises(CourseError, match="2 pictures cannot be evaluated by 3"):
        make_alone().share_evaluation(make_pictures(2))


def test_seeds_of_99_processes_and_10_000_parts_never_meet():
    seeds = {seed * 1_000_003 + SEEDS_APART * rank for seed in range(3) for rank in range(99)}
    ordered = sorted(seeds)
    assert min(b - a for a, b in zip(ordered, ordered[1:], strict=False)) > 10_000
    # Why not in the upper half of 64 bits: there the generator does not look.
    assert torch.equal(
        torch.rand(3, generator=torch.Generator().manual_seed(5)),
        torch.rand(3, generator=torch.Generator().manual_seed(5 + 2**32)),
    )


def test_without_torchrun_one_sentence(monkeypatch, capsys):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert main(["features"]) == 1
    assert "torchrun --standalone" in capsys.readouterr().err


# From here on with the course's own command, on a dataset of noise.


def find_workers(job: subprocess.Popen, count: int) -> list[psutil.Process]:
    """The processes torchrun has started, in the order of their ranks."""
    workers = [
        child
        for child in psutil.Process(job.pid).children()
        if "utils.train_distributed" in child.cmdline()
    ]
    assert len(workers) == count
    return sorted(workers, key=lambda one: int(one.environ()["RANK"]))


@pytest.mark.slow
@pytest.mark.parametrize(("first", "killed", "second"), [(2, 1, 3), (3, 0, 2)])
def test_features_are_complete_and_identical_after_a_kill(
    tmp_path, noise, monkeypatch, first, killed, second
):
    """Counts that do not divide, a worker killed after the first shard, another number then."""
    home = tmp_path / "home"
    job = launch(first, *COMMAND, "features", home=home, data=noise)
    folder = home / "cache" / "features"
    wait_until(lambda: list(folder.glob("*.shards/*.npz")), job)
    find_workers(job, first)[killed].kill()
    code, out, errors = finish(job)
    assert code != 0 and errors.count(LOST) == 1, errors
    assert "Traceback" not in errors.split(LOST)[0]
    assert all(map(is_whole, folder.rglob("*.npz"))) and not list(folder.rglob("*.tmp"))
    code, out, errors = finish(launch(second, *COMMAND, "features", home=home, data=noise))
    assert code == 0, errors
    assert [line.split(",")[0] for line in out.splitlines() if "computed now" in line] == [
        "train: 74 pictures", "validation: 8 pictures", "test: 7 pictures"
    ]  # fmt: skip
    assert "74 of them" not in out  # the first shard was not computed again
    assert not list(folder.glob("*.shards"))
    for name, value in (("HOME", home), ("DATA", noise), ("PROFILE", "sample")):
        monkeypatch.setenv(f"COURSE_{name}", str(value))
    settings = load_settings()
    preprocessing = find_preprocessing(settings.backbone)
    train = decode_split(open_dataset(settings).train, preprocessing, home)
    made = extract_features(settings, train, preprocessing)
    backbone = remove_head(load_backbone(settings.backbone))
    alone = compute_features(backbone, train, preprocessing, settings)
    assert len(list(folder.glob("*.npz"))) == 3  # found, not made once more
    # But for rounding: a process with fewer threads adds up in another order.
    np.testing.assert_allclose(made.values.numpy(), alone, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_finetuning_goes_on_after_a_kill_and_ends_with_a_run(tmp_path, noise, monkeypatch):
    home = tmp_path / "home"
    arguments = [*COMMAND, "finetune", "--epochs", "1", "--batch-size", "12"]
    job = launch(2, *arguments, home=home, data=noise)
    wait_until(lambda: list(home.glob("runs/*/distributed/checkpoint.pt")), job)
    find_workers(job, 2)[1].send_signal(signal.SIGKILL)
    code, out, errors = finish(job)
    assert code != 0 and errors.count(LOST) == 1, errors
    parts = len([line for line in out.splitlines() if line.startswith("part ")])
    assert parts < 4
    code, out, errors = finish(launch(3, *arguments, home=home, data=noise))
    assert code == 0, errors
    lines = [line.split(":")[0] for line in out.splitlines() if line.startswith("part ")]
    assert lines[-1] == "part 4" and 1 < int(lines[0].split()[1]) <= parts + 2
    for name, value in (("HOME", home), ("DATA", noise), ("PROFILE", "sample")):
        monkeypatch.setenv(f"COURSE_{name}", str(value))
    run = find_run(load_settings(), "distributed")
    assert (run.n_test, run.n_train, run.epochs) == (7, 74, 1)


@pytest.mark.slow
def test_what_the_command_refuses_it_refuses_once(tmp_path, noise):
    job = launch(2, *COMMAND, "finetune", "--batch-size", "5", home=tmp_path, data=noise)
    code, out, errors = finish(job)
    assert code != 0 and errors.count("no equal parts for 2 processes") == 1
    assert LOST not in errors
