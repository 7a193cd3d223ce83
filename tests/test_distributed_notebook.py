"""The cost model and the files of notebook 06: predictions, figures, Slurm's file really run."""

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

from utils import plots_distributed
from utils.scaling import (
    BUCKET_BYTES,
    PUBLISHED,
    USABLE_PART,
    Job,
    predict_efficiency,
    predict_exchange,
    predict_speed,
    predict_step,
)
from utils.settings import ROOT
from utils.train_distributed import parse_arguments
from utils.widgets_distributed import INSIDE, LINKS, draw_scaling, explore_scaling

JOB = Job(gradient_bytes=100e6, pictures_per_second=320, batch_size=32, link=10e9)
NOTEBOOK = ROOT / "notebooks" / "06_more_than_one_gpu.ipynb"


def test_one_gpu_exchanges_nothing():
    assert predict_exchange(JOB, 1) == 0
    assert predict_step(JOB, 1).seconds == pytest.approx(0.1)
    assert predict_speed(JOB, 1) == pytest.approx(320)


def test_ring_by_hand():
    """Four GPUs send 2 · 3/4 · 100 MB each; the slowest link decides."""
    inside = 1.5 * 100e6 * 8 / (USABLE_PART * JOB.link_inside)
    assert predict_exchange(JOB, 4) == pytest.approx(inside)
    between = 1.5 * 100e6 * 8 / (USABLE_PART * 10e9)
    assert predict_exchange(replace(JOB, gpus_per_machine=2), 4) == pytest.approx(between)
    slow_inside = replace(JOB, gpus_per_machine=2, link_inside=1e9)
    assert predict_exchange(slow_inside, 4) == pytest.approx(10 * between)


def test_what_fits_behind_the_way_back_is_not_waited_for():
    step = predict_step(JOB, 4)
    last = predict_exchange(JOB, 4) * BUCKET_BYTES / 100e6
    assert step.waited == pytest.approx(last)
    assert step.hidden + step.waited == pytest.approx(predict_exchange(JOB, 4))
    slow = predict_step(replace(JOB, link=1e9), 64)
    assert slow.hidden == pytest.approx(0.1 * 2 / 3)
    small = replace(JOB, gradient_bytes=1e6)  # less than a bucket: nothing hides
    assert predict_step(small, 4).hidden == 0


def test_twice_the_exchange_is_the_most_a_ring_asks_for():
    times = [predict_exchange(JOB, gpus) for gpus in (16, 64, 4096)]
    assert times == sorted(times)
    assert times[-1] < 2 * 100e6 * 8 / (USABLE_PART * JOB.link)


def test_published_figures_lie_below_the_prediction_by_less_than_ten_points():
    for one in PUBLISHED:
        predicted = predict_efficiency(one.job, one.gpus, one.compared_with)
        assert 0 < predicted - one.efficiency < 0.1, one.name
        assert "http" in one.source


def test_figures_say_in_words_what_they_show():
    drawing = draw_scaling(JOB)
    assert "64, " in drawing.description and "waiting" in drawing.description
    assert drawing.save().startswith(b"\x89PNG")
    deal = plots_distributed.plot_deal({"epoch 0": [[0, 1], [2, 0]]}, "Dealt")
    assert "process 1 gets [2, 0]" in deal.description
    for drawing in (
        deal,
        plots_distributed.draw_data_parallel(),
        plots_distributed.plot_published({"a": 0.9}, {"a": 0.8}),
    ):
        assert drawing.save().startswith(b"\x89PNG") and len(drawing.description) > 30


def test_the_control_follows_its_sliders(monkeypatch):
    shown = []
    monkeypatch.setattr("utils.widgets_distributed.show_control", lambda *both: shown.append(both))
    explore_scaling(replace(JOB, link_inside=100e9))
    box, first = shown[0]
    *rows, view = box.children
    millions, speed, batch, machine, link, inside = [one for row in rows for one in row.children]
    before = view.value
    link.value = LINKS["Ethernet, 100 Gbit/s"]
    assert view.value != before and "100 Gbit/s" in view.value
    inside.value, batch.value, machine.value = INSIDE["NVLink, 2,400 Gbit/s"], 128, 4
    speed.value, millions.value = 1000.0, 138.0
    expected = draw_scaling(Job(4 * 138e6, 1000.0, 128, 100e9, 4, 2400e9))
    assert expected.description.split(":")[0] in view.value


def find_scripts() -> dict[str, str]:
    """The shell files that notebook 06 shows, by the name the text gives them."""
    text = "\n".join(
        cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "markdown"
    )
    scripts = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return dict(zip(("train.sbatch", "train.sh"), scripts, strict=True))


def make_course(folder: Path) -> None:
    """A folder like the course's own, with another `data`, and this Python as its `.venv`."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "utils").symlink_to(ROOT / "utils")
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)


def write_command(folder: Path, name: str, lines: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{lines}\n")
    path.chmod(0o755)


@pytest.mark.slow
def test_slurm_file_trains_across_two_machines(tmp_path, noise):
    """Two agents of torchrun that meet at an address, as on two machines; Slurm is played."""
    course, commands = tmp_path / "course", tmp_path / "bin"
    make_course(course)
    commands.mkdir()
    write_command(commands, "scontrol", 'test "$1 $2" = "show hostnames" && echo 127.0.0.1')
    write_command(commands, "srun", '"$@" & one=$!\n"$@" & two=$!\nwait $one && wait $two')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = find_scripts()["train.sbatch"]
    assert script.startswith("#!/bin/bash\n#SBATCH")
    script = script.replace("29500", str(port)).replace("--epochs 3", "--epochs 1")
    (course / "train.sbatch").write_text(script)
    environment = os.environ | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "SLURM_SUBMIT_DIR": str(course),
        "SLURM_JOB_NODELIST": "one,two",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_GPUS_ON_NODE": "1",
        "SLURM_JOB_ID": "7",
        "CUDA_VISIBLE_DEVICES": "",
        "COURSE_DATA": str(noise),
        "COURSE_BACKBONE": "efficientnet_lite0",
    }
    done = subprocess.run(
        ["bash", "train.sbatch"], cwd=course, env=environment, capture_output=True, text=True,
        timeout=HANG,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 processes, batch of 256" in done.stdout and "Test accuracy" in done.stdout
    assert list((course / "data" / "runs").glob("*/distributed/run.json"))


def test_rented_machine_file_calls_what_there_is(tmp_path):
    course = tmp_path / "course"
    make_course(course)
    (course / ".venv" / "bin" / "jupyter").touch(mode=0o755)
    calls = tmp_path / "calls"
    write_command(course / ".venv" / "bin", "python", f'echo "$@" >> "{calls}"')
    (tmp_path / "train.sh").write_text(find_scripts()["train.sh"])
    done = subprocess.run(
        ["bash", "train.sh"], cwd=tmp_path, env=os.environ | {"PROCESSES": "2"},
        capture_output=True, text=True, timeout=HANG,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = calls.read_text().splitlines()
    assert len(lines) == 5 and all("--standalone --nproc_per_node=2 -m" in line for line in lines)
    given = [parse_arguments(line.split("utils.train_distributed ")[1].split()) for line in lines]
    assert [one.command for one in given] == ["measure"] * 3 + ["features", "finetune"]
    assert [one.batch_size for one in given[:3]] == [128, 256, 512]
