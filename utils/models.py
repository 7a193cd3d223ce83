"""The networks: a small CNN, two pretrained backbones, and what freezes and groups their layers."""

from pickle import UnpicklingError

import torch
from torch import nn
from torch.nn import functional as F

from utils.download import download_weights
from utils.download.weights import find_package
from utils.settings import CourseError, Settings


class CustomCNN(nn.Module):
    """The article's network: images [N, 3, 224, 224] → logits [N, number_of_classes]."""

    def __init__(self, number_of_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, kernel_size=3)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3)
        self.conv3 = nn.Conv2d(64, 128, kernel_size=3)
        self.fc1 = nn.Linear(26 * 26 * 128, 128)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(128, number_of_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        x = F.relu(self.fc1(x.flatten(start_dim=1)))
        return self.out(self.dropout(x))


class EfficientNetLite0(nn.Module):
    """timm's `tf_efficientnet_lite0` with its last layer called `fc`, as a ResNet calls its own.

    Images [N, 3, 224, 224] → `body` → features [N, 1280] → `fc` → logits [N, 1000].
    """

    def __init__(self) -> None:
        import timm

        super().__init__()
        self.body = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        self.fc = nn.Linear(1280, 1000)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(images))


def load_efficientnet_lite0() -> nn.Module:
    """EfficientNet-Lite0 with the ImageNet weights of a pip package: no network is needed.

    Raises CourseError where the package is missing or its file is damaged.
    """
    state = torch.load(find_package(), map_location="cpu", weights_only=True)
    model = EfficientNetLite0()
    # The file's tensors come in the same order as the network's, under other names.
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    return model.eval()


def load_backbone(settings: Settings) -> nn.Module:
    """The pretrained network with ImageNet's 1,000 classes in its `fc`, in eval mode.

    Raises CourseError where its weights cannot be had or are damaged.
    """
    if settings.backbone != "resnet101":
        return load_efficientnet_lite0()
    from torchvision.models import ResNet101_Weights, resnet101

    path = download_weights(settings)
    try:
        return resnet101(weights=ResNet101_Weights.IMAGENET1K_V2).eval()
    except (RuntimeError, EOFError, OSError, UnpicklingError) as error:
        raise CourseError(
            f"The weights of ResNet-101 in {path} are damaged or of another network: "
            "delete the file and run this again."
        ) from error


def freeze(module: nn.Module) -> None:
    """Compute no gradients for the module's parameters, and put it into eval mode."""
    for parameter in module.parameters():
        parameter.requires_grad = False
    module.eval()


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Numbers of trainable and of all parameters."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(size for size, trainable in sizes if trainable), sum(size for size, _ in sizes)


def list_stages(model: nn.Module) -> dict[str, list[nn.Module]]:
    """The stages of a pretrained network from the pixels to the logits, by name.

    They are what learning rates by stage and gradual unfreezing go by.
    """
    find = model.get_submodule
    if hasattr(model, "layer1"):
        stem, groups = ["conv1", "bn1"], [[find(f"layer{i}")] for i in range(1, 5)]
    else:
        stem, blocks = ["body.conv_stem", "body.bn1"], list(find("body.blocks").children())
        last = [*blocks[5:], find("body.conv_head"), find("body.bn2")]
        groups = [blocks[:2], blocks[2:4], blocks[4:5], last]
    stages = {f"stage {i}": group for i, group in enumerate(groups, 1)}
    return {"stem": [find(name) for name in stem]} | stages | {"head": [find("fc")]}


def use_fast_arithmetic(model: nn.Module, settings: Settings, training: bool = True) -> nn.Module:
    """Move a network to the device in the quickest form there; loops and attributes stay the same.

    All channels of a pixel lie beside each other (up to twice as fast), and matrix products are
    computed in the device's lower precision where it has one. Not in float16 while training: small
    gradients would be rounded to zero.
    """
    model.to(settings.device).to(memory_format=torch.channels_last)
    if settings.precision == "float32" or (training and settings.precision == "float16"):
        return model
    kind, precision = type(model), getattr(torch, settings.precision)

    def forward(self: nn.Module, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(settings.device, precision):
            return kind.forward(self, images).float()  # the loss wants float32

    model.__class__ = type(kind.__name__, (kind,), {"forward": forward})  # a copy has it, too
    return model
