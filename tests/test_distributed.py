"""Work shared by two and three processes that torchrun starts, on this machine, with gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from distributed_worker import EPOCHS, SEED, make_training
from patience import HANG
from torch.utils.data import DataLoader, Subset

from utils.runs import find_run, load_run
from utils.settings import ROOT, load_settings
from utils.training import collect_logits, train_one_epoch

# Sums in another order: float32 keeps 7 digits, and a few hundred additions cost one of them.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
TRAIN = ["-m", "utils.distributed.train"]


def launch(
    processes: int, *arguments: str, home: Path, data: Path | str = "sample"
) -> subprocess.CompletedProcess:
    """A job, started as a person would, to its end."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "COURSE_HOME": str(home),
        "COURSE_DATA": str(data),
        "COURSE_PROFILE": "sample",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*command, f"--nproc_per_node={processes}", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG,
    )


@pytest.fixture(scope="module", params=[2, 3])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What `distributed_worker.py` found with two and with three processes."""
    folder = tmp_path_factory.mktemp(f"shared-by-{request.param}")
    results = folder / "results.pt"
    done = launch(request.param, "tests/distributed_worker.py", str(results), home=folder)
    assert done.returncode == 0, done.stderr
    return torch.load(results, weights_only=True) | {"size": request.param}


def train_alone() -> torch.nn.Module:
    """The same training in this process, without Accelerate, in the order that it draws."""
    model, optimizer, train, _ = make_training()
    for epoch in range(EPOCHS):
        order = torch.randperm(48, generator=torch.Generator().manual_seed(SEED + epoch))
        loader = DataLoader(Subset(train.dataset, order.tolist()), train.batch_size)
        train_one_epoch(model, loader, optimizer)
    return model


@pytest.mark.slow
def test_the_unchanged_loop_ends_with_the_weights_of_one_process(shared: dict) -> None:
    for name, tensor in train_alone().state_dict().items():
        torch.testing.assert_close(shared["weights"][name], tensor, **CLOSE)
    start = make_training()[0].fc.weight
    assert not torch.allclose(shared["weights"]["fc.weight"], start, atol=1e-3)


@pytest.mark.slow
def test_all_processes_end_with_the_same_weights(shared: dict) -> None:
    assert len(shared["everywhere"]) == shared["size"]
    assert all(torch.equal(each, shared["everywhere"][0]) for each in shared["everywhere"])


@pytest.mark.slow
def test_evaluation_counts_every_image_once_and_in_order(shared: dict) -> None:
    model, _, _, test = make_training()
    model.load_state_dict(shared["weights"])
    logits, labels = collect_logits(model, test)
    assert shared["labels"].tolist() == labels.tolist()
    torch.testing.assert_close(shared["logits"], logits, **CLOSE)


@pytest.mark.slow
def test_a_batch_without_equal_shares_is_refused_in_a_sentence(tmp_path: Path) -> None:
    done = launch(2, *TRAIN, "--batch-size", "5", home=tmp_path)
    assert done.returncode != 0
    assert "no equal shares for 2 processes: choose a multiple of 2, such as 4." in done.stderr


@pytest.mark.slow
def test_finetuning_goes_on_with_another_number_and_ends_with_a_run(
    tmp_path: Path, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = launch(2, *TRAIN, "--epochs", "1", "--batch-size", "12", home=tmp_path, data=noise)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 1:") == 1 and "2 processes, batch of 12" in done.stdout
    done = launch(3, *TRAIN, "--epochs", "2", "--batch-size", "12", home=tmp_path, data=noise)
    assert done.returncode == 0, done.stderr
    assert "epoch 1:" not in done.stdout and done.stdout.count("epoch 2:") == 1
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setenv("COURSE_DATA", str(noise))
    settings = load_settings("sample")
    run = find_run(settings, "distributed")
    assert (run.n_test, run.epochs, len(run.history["seconds"])) == (7, 2, 2)
    assert load_run(settings, "distributed").fc.out_features == 2


@pytest.mark.slow
def test_speed_prints_what_a_job_needs(tmp_path: Path) -> None:
    arguments = "--batch-size 4 --side 32 --steps 1".split()
    done = launch(2, "-m", "utils.distributed.speed", *arguments, home=tmp_path)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert (measured["processes"], measured["batch_size"], measured["device"]) == (2, 4, "CPU")
    assert measured["images_per_second"] > 0 and measured["gradient_bytes"] > 1e6
