"""What decides profile, dataset, backbone and home, and what is said of it."""

import platform
from pathlib import Path

import pytest

from utils import settings as settings_module
from utils.settings import (
    PROFILES,
    ROOT,
    CourseError,
    find_precision,
    keep_freed_memory,
    load_settings,
)


def test_environment_beats_arguments(monkeypatch, tmp_path):
    values = {
        "PROFILE": "photos",
        "DATA": "full",
        "BACKBONE": "efficientnet_lite0",
        "HOME": str(tmp_path / "from environment"),
    }
    for name, value in values.items():
        monkeypatch.setenv(f"COURSE_{name}", value)
    settings = load_settings("sample", data="sample", backbone="resnet101", home="elsewhere")
    assert (settings.profile, settings.data) == ("photos", "full")
    assert settings.backbone == "efficientnet_lite0"
    assert settings.home == tmp_path / "from environment"
    assert settings.custom_cnn_epochs == PROFILES["photos"].custom_cnn_epochs


@pytest.mark.parametrize(("has", "precision"), [((7, 5), "float16"), ((8, 0), "bfloat16")])
def test_the_precision_of_a_gpu(monkeypatch, has: tuple, precision: str):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: has)
    assert find_precision("cuda") == precision


def test_a_notebook_shows_the_sentence_of_an_error_alone():
    assert CourseError("Do this.")._render_traceback_() == ["CourseError: Do this."]


def test_arguments_beat_the_profile(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_HOME")
    settings = load_settings("sample", data="photos", backbone="resnet101", home=str(tmp_path))
    assert (settings.data, settings.backbone) == ("photos", "resnet101")
    assert settings.home == tmp_path


def test_defaults_of_the_profile(monkeypatch):
    monkeypatch.delenv("COURSE_HOME")
    settings = load_settings("sample")
    assert (settings.data, settings.backbone) == ("sample", "efficientnet_lite0")
    assert settings.home == ROOT / "data"


def test_empty_variable_counts_as_none(monkeypatch):
    for name in ("PROFILE", "DATA", "BACKBONE"):
        monkeypatch.setenv(f"COURSE_{name}", "")
    settings = load_settings("photos")
    assert (settings.profile, settings.data, settings.backbone) == ("photos", "photos", "resnet101")


def test_home_becomes_absolute(monkeypatch):
    monkeypatch.setenv("COURSE_HOME", "~/course")
    assert load_settings("sample").home == Path.home().resolve() / "course"


@pytest.mark.parametrize("by_environment", [True, False])
def test_unknown_profile(monkeypatch, by_environment):
    if by_environment:
        monkeypatch.setenv("COURSE_PROFILE", "huge")
    with pytest.raises(CourseError, match="'huge'.*auto, sample, photos, full"):
        load_settings("sample" if by_environment else "huge")


@pytest.mark.parametrize("by_environment", [True, False])
def test_unknown_backbone(monkeypatch, by_environment):
    if by_environment:
        monkeypatch.setenv("COURSE_BACKBONE", "vgg")
    arguments = {} if by_environment else {"backbone": "vgg"}
    with pytest.raises(CourseError, match="'vgg'.*resnet101 or efficientnet_lite0"):
        load_settings("sample", **arguments)


def test_misspelt_argument():
    with pytest.raises(TypeError, match="batch"):
        load_settings("sample", batch="8")


@pytest.mark.parametrize(
    ("device", "profile"), [("cuda", "full"), ("cpu", "sample"), ("mps", "sample")]
)
def test_auto_profile_follows_the_device(monkeypatch, device, profile):
    monkeypatch.setattr(settings_module, "find_device", lambda: device)
    monkeypatch.setattr(settings_module, "find_precision", lambda device: "float32")
    assert load_settings().profile == load_settings("auto").profile == profile
    monkeypatch.setenv("COURSE_PROFILE", "auto")
    assert load_settings("photos").profile == profile


def test_description_is_printed_and_lists_everything(capsys):
    settings = load_settings("sample")
    assert capsys.readouterr().out == settings.describe() + "\n"
    rows = {line.split()[0]: line for line in settings.describe().splitlines()}
    assert list(rows) == ["profile", "dataset", "backbone", "home", "device", "precision"]
    for name, value in (
        ("profile", "sample"),
        ("dataset", "sample"),
        ("backbone", "efficientnet_lite0"),
        ("home", str(settings.home)),
        ("device", settings.device),
        ("precision", settings.precision),
    ):
        assert value in rows[name]
    for name in ("PROFILE", "DATA", "BACKBONE", "HOME"):
        assert f"COURSE_{name}=" in settings.describe()


def test_a_classroom_sets_mirror_and_shared_folder_once(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_MIRROR", "http://10.0.0.7:8000/")
    monkeypatch.setenv("COURSE_SHARED", str(tmp_path))
    settings = load_settings("sample")
    assert (settings.mirror, settings.shared) == ("http://10.0.0.7:8000", tmp_path)
    assert "COURSE_MIRROR" in settings.describe() and "COURSE_SHARED" in settings.describe()
    monkeypatch.setenv("COURSE_MIRROR", "ftp://10.0.0.7")
    with pytest.raises(CourseError, match="COURSE_MIRROR is 'ftp"):
        load_settings("sample")
    monkeypatch.setenv("COURSE_MIRROR", "")
    monkeypatch.setenv("COURSE_SHARED", str(tmp_path / "nowhere"))
    with pytest.raises(CourseError, match="There is no folder .*nowhere"):
        load_settings("sample")


def test_a_full_run_without_a_gpu_is_said(monkeypatch, capsys):
    monkeypatch.setattr(settings_module, "find_device", lambda: "cpu")
    load_settings("full")
    assert "No GPU was found" in capsys.readouterr().out


def test_mean_and_std_follow_the_backbone():
    assert load_settings("sample").mean == (0.5, 0.5, 0.5)
    assert load_settings("photos").mean == (0.485, 0.456, 0.406)
    assert load_settings("photos").std == (0.229, 0.224, 0.225)


def test_precision_is_one_that_pytorch_has():
    import torch

    for device in ("cpu", "mps"):
        assert isinstance(getattr(torch, find_precision(device)), torch.dtype)
    assert find_precision("mps") == "float32"


@pytest.mark.parametrize(
    ("gain", "precision"), [(0.5, "float32"), (1.1, "float32"), (3.0, "bfloat16")]
)
def test_bfloat16_only_where_it_was_measured_to_be_faster(monkeypatch, tmp_path, gain, precision):
    """Some processors have the instructions and compute slower with them than without."""
    flags = tmp_path / "cpuinfo"
    flags.write_text("flags : avx512f avx512_bf16")
    monkeypatch.setattr(settings_module, "Path", lambda path: flags)
    monkeypatch.setattr(settings_module, "measure_bfloat16_gain", lambda: gain)
    assert find_precision("cpu") == precision
    flags.write_text("flags : avx512f")  # no such instructions: emulated, whatever the clock says
    assert find_precision("cpu") == "float32"


def test_gain_of_bfloat16_is_measured_once():
    gain = settings_module.measure_bfloat16_gain()
    assert 0.01 < gain < 100
    assert settings_module.measure_bfloat16_gain() == gain


def test_freed_memory_is_kept_where_glibc_is(monkeypatch):
    is_glibc = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
    assert keep_freed_memory() == is_glibc
    for system in ("Darwin", "Windows"):
        monkeypatch.setattr(platform, "system", lambda system=system: system)
        assert keep_freed_memory() is False
