"""The cost model and the files of notebook 09: predictions, figures, Slurm's file really run."""

import html
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from patience import HANG

from utils.distributed import speed, train
from utils.distributed.scaling import (
    BUCKET_BYTES,
    PUBLISHED,
    USABLE_SHARE,
    Job,
    predict_efficiency,
    predict_exchange,
    predict_speed,
    predict_step,
)
from utils.settings import ROOT
from utils.widgets.distributed import INSIDE, LINKS, draw_scaling, explore_scaling

JOB = Job(gradient_bytes=100e6, images_per_second=320, batch_size=32, link=10e9)
NOTEBOOK = ROOT / "notebooks" / "09_more_than_one_gpu.ipynb"


def test_one_gpu_exchanges_nothing() -> None:
    assert predict_exchange(JOB, 1) == 0
    assert predict_step(JOB, 1).seconds == pytest.approx(0.1)
    assert predict_speed(JOB, 1) == pytest.approx(320)


def test_ring_by_hand() -> None:
    """Four GPUs send 2 · 3/4 · 100 MB each; the slowest link decides."""
    inside = 1.5 * 100e6 * 8 / (USABLE_SHARE * JOB.link_inside)
    assert predict_exchange(JOB, 4) == pytest.approx(inside)
    between = 1.5 * 100e6 * 8 / (USABLE_SHARE * 10e9)
    assert predict_exchange(replace(JOB, gpus_per_machine=2), 4) == pytest.approx(between)
    slow_inside = replace(JOB, gpus_per_machine=2, link_inside=1e9)
    assert predict_exchange(slow_inside, 4) == pytest.approx(10 * between)


def test_what_fits_behind_the_backward_pass_is_not_waited_for() -> None:
    step = predict_step(JOB, 4)
    last = predict_exchange(JOB, 4) * BUCKET_BYTES / 100e6
    assert step.waited == pytest.approx(last)
    assert step.hidden + step.waited == pytest.approx(predict_exchange(JOB, 4))
    slow = predict_step(replace(JOB, link=1e9), 64)
    assert slow.hidden == pytest.approx(0.1 * 2 / 3)
    small = replace(JOB, gradient_bytes=1e6)  # less than a bucket: nothing hides
    assert predict_step(small, 4).hidden == 0


def test_twice_the_exchange_is_the_most_a_ring_asks_for() -> None:
    times = [predict_exchange(JOB, gpus) for gpus in (16, 64, 4096)]
    assert times == sorted(times)
    assert times[-1] < 2 * 100e6 * 8 / (USABLE_SHARE * JOB.link)


def test_published_figures_lie_below_the_prediction_by_less_than_ten_points() -> None:
    for one in PUBLISHED:
        predicted = predict_efficiency(one.job, one.gpus, one.compared_with)
        assert 0 < predicted - one.efficiency < 0.1, one.name
        assert "http" in one.source


def test_the_prediction_is_said_in_words() -> None:
    drawing = draw_scaling(JOB)
    assert "64, " in drawing.description and "waiting" in drawing.description


def test_the_control_follows_its_sliders(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr("utils.widgets.show_box", lambda *both: shown.append(both))
    explore_scaling(replace(JOB, link_inside=100e9))
    box, _ = shown[0]
    *rows, view = box.children
    millions, speed, batch, machine, link, inside = [one for row in rows for one in row.children]
    before = view.value
    link.value = LINKS["Ethernet, 100 Gbit/s"]
    assert view.value != before and "100 Gbit/s" in view.value
    inside.value, batch.value, machine.value = INSIDE["NVLink, 2,400 Gbit/s"], 128, 4
    speed.value, millions.value = 1000.0, 138.0
    expected = draw_scaling(Job(4 * 138e6, 1000.0, 128, 100e9, 4, 2400e9))
    assert html.escape(expected.description) in view.value


def find_scripts() -> dict[str, str]:
    """The shell files that notebook 09 shows, by the name the text gives them."""
    cells = nbformat.read(NOTEBOOK, 4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    scripts = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return dict(zip(("train.sbatch", "train.sh"), scripts, strict=True))


def make_course(folder: Path) -> None:
    """A folder like the course's own, with another `data`, and this Python as its `.venv`."""
    (folder / "utils").parent.mkdir(parents=True, exist_ok=True)
    (folder / "utils").symlink_to(ROOT / "utils")
    write_command(folder / ".venv" / "bin", "python", f'exec "{sys.executable}" "$@"')


def write_command(folder: Path, name: str, lines: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{lines}\n")
    path.chmod(0o755)


@pytest.mark.slow
def test_slurm_file_trains_across_two_machines(tmp_path: Path, noise: Path) -> None:
    """Two agents of torchrun that meet at an address, as on two machines; Slurm is played."""
    course, commands = tmp_path / "course", tmp_path / "bin"
    make_course(course)
    write_command(commands, "scontrol", 'test "$1 $2" = "show hostnames" && echo 127.0.0.1')
    played = f'''echo "$@" >> "{tmp_path}/srun"
while [[ $1 == --* ]]; do shift; done
"$@" & one=$!
"$@" & two=$!
wait $one && wait $two'''
    write_command(commands, "srun", played)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = find_scripts()["train.sbatch"]
    assert script.startswith("#!/bin/bash\n#SBATCH")
    script, found = re.subn(r"port=\$\(\(.*?\)\)", f"port={port}", script)
    assert found == 1
    script = script.replace("--epochs 3 --batch-size 256", "--epochs 1 --batch-size 12")
    (course / "train.sbatch").write_text(script)
    environment = os.environ | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "SLURM_SUBMIT_DIR": str(course),
        "SLURM_JOB_NODELIST": "one,two",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_GPUS_ON_NODE": "1",
        "SLURM_JOB_ID": "7",
        "CUDA_VISIBLE_DEVICES": "",
        "COURSE_DATA": str(noise),
        "COURSE_BACKBONE": "efficientnet_lite0",
    }
    done = subprocess.run(
        ["bash", "train.sbatch"],
        cwd=course,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    assert "2 processes, batch of 12" in done.stdout and "test accuracy" in done.stdout
    assert list((course / "data" / "runs").glob("*/distributed/run.json"))
    # srun does not pass the cores on by itself, and waits for machines that are gone.
    given = (tmp_path / "srun").read_text()
    assert "--cpus-per-task=1 --kill-on-bad-exit=1" in given


def test_slurm_gives_each_process_its_cores_and_each_job_its_port() -> None:
    script = find_scripts()["train.sbatch"]
    lines = [line for line in script.splitlines() if line.startswith(("export OMP", "port="))]
    assert len(lines) == 2
    lines.append('echo "$OMP_NUM_THREADS $port"')
    numbers = {"SLURM_CPUS_PER_TASK": "32", "SLURM_GPUS_ON_NODE": "4", "SLURM_JOB_ID": "1234567"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        env=os.environ | numbers,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "8 24567\n"


def test_rented_machine_file_calls_what_there_is(tmp_path: Path) -> None:
    course, calls = tmp_path / "course", tmp_path / "calls"
    make_course(course)
    write_command(course / ".venv" / "bin", "python", f'echo "$@" >> "{calls}"')
    (tmp_path / "train.sh").write_text(find_scripts()["train.sh"])
    environment = os.environ | {"PROCESSES": "2"}
    done = subprocess.run(
        ["bash", "train.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    install, *jobs = calls.read_text().splitlines()
    assert install == "-m pip install -q -r requirements.txt"
    start = "-m torch.distributed.run --standalone --nproc_per_node=2 -m utils.distributed."
    assert all(line.startswith(start) for line in jobs)
    *measured, trained = [line.removeprefix(start).split() for line in jobs]
    assert {words[0] for words in measured} == {"speed"} and trained[0] == "train"
    sizes = [speed.parse_arguments(words[1:]).batch_size for words in measured]
    assert sizes == [128, 256, 512]
    assert train.parse_arguments(trained[1:]).epochs == 3
