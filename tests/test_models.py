"""The networks: their sizes, their weights, and what freezing does to them."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet101

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


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return resnet101()


@pytest.fixture(scope="module")
def lite() -> nn.Module:
    return load_backbone("efficientnet_lite0")


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
