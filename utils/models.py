"""The networks: a small CNN, two pretrained backbones, and what freezes and unfreezes them."""

from pickle import UnpicklingError

import torch
from torch import nn

from utils.errors import CourseError
from utils.weights import fetch_weights


class CustomCNN(nn.Module):
    """Three convolutions and two fully connected layers, for pictures of 3×224×224.

    Input [N, 3, 224, 224], output logits [N, number_of_classes]. Pooling before ReLU gives the same
    numbers as after it, since the largest stays the largest, and leaves ReLU a quarter of the work.
    """

    def __init__(self, number_of_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, kernel_size=3)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3)
        self.conv3 = nn.Conv2d(64, 128, kernel_size=3)
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(26 * 26 * 128, 128)
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(128, number_of_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.pool(self.conv1(images)))  # 224 → 222 → 111
        x = torch.relu(self.pool(self.conv2(x)))  # 111 → 109 → 54
        x = torch.relu(self.pool(self.conv3(x)))  # 54 → 52 → 26
        x = torch.relu(self.hidden(x.flatten(start_dim=1)))  # 86,528 → 128
        return self.output(self.dropout(x))


def load_backbone(name: str) -> nn.Module:
    """A network with its ImageNet weights and its 1,000-class head, in eval mode.

    Raises CourseError where the weights cannot be had or do not fit.
    """
    path = fetch_weights(name)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if name == "resnet101":
            from torchvision.models import resnet101

            # Not by way of its `weights` argument, which would run code that a file may carry.
            model = resnet101()
            model.load_state_dict(state)
            return model.eval()
        return load_efficientnet_lite0(state).eval()
    except (RuntimeError, EOFError, OSError, ValueError, TypeError, UnpicklingError) as error:
        raise CourseError(
            f"The weights of {name} in {path} are damaged or of another network: "
            "delete the file and run this again."
        ) from error


def load_efficientnet_lite0(state: dict[str, torch.Tensor]) -> nn.Module:
    """timm's architecture with the pip package's tensors: same order, other names."""
    import timm

    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    names = model.state_dict().keys()
    model.load_state_dict(dict(zip(names, state.values(), strict=True)))
    return model


def find_head(model: nn.Module) -> str:
    """The name of the last layer: `fc` in a ResNet, `classifier` in an EfficientNet."""
    return "fc" if hasattr(model, "fc") else "classifier"


def replace_head(model: nn.Module, number_of_classes: int) -> nn.Linear:
    """Put a new, untrained linear layer in place of the last one, and return it."""
    name = find_head(model)
    head = nn.Linear(getattr(model, name).in_features, number_of_classes)
    setattr(model, name, head)
    return head


def remove_head(model: nn.Module) -> nn.Module:
    """Let the features out where the logits were: [N, 3, 224, 224] → [N, features]."""
    setattr(model, find_head(model), nn.Identity())
    return model


def freeze(module: nn.Module) -> None:
    """Compute no gradients for the module's parameters, and put it into eval mode.

    Eval mode is half of freezing: in train mode batch norm goes on updating its running statistics,
    which are buffers and need no gradient.
    """
    for parameter in module.parameters():
        parameter.requires_grad = False
    module.eval()


def unfreeze(module: nn.Module) -> None:
    """Compute gradients for all of the module's parameters again."""
    for parameter in module.parameters():
        parameter.requires_grad = True


def set_training_mode(model: nn.Module, freeze_statistics: bool = False) -> None:
    """`model.train()` that leaves frozen batch norm frozen.

    Batch-norm layers whose parameters are frozen stay in eval mode; with `freeze_statistics` all of
    them do, which is the usual choice for fine-tuning with small batches.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            frozen = not any(parameter.requires_grad for parameter in module.parameters())
            if frozen or freeze_statistics:
                module.eval()


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Numbers of trainable and of all parameters."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(size for size, trainable in sizes if trainable), sum(size for size, _ in sizes)


def split_stages(model: nn.Module) -> dict[str, list[nn.Module]]:
    """The parts of a pretrained network from the pixels to the logits, by name.

    They are what fine-tuning with falling learning rates or gradual unfreezing goes by.
    """
    if hasattr(model, "layer1"):
        stages = {"stem": [model.conv1, model.bn1]}
        stages |= {f"stage {i}": [getattr(model, f"layer{i}")] for i in range(1, 5)}
    else:
        stages = {"stem": [model.conv_stem, model.bn1]}
        blocks = list(model.blocks)
        groups = [blocks[:2], blocks[2:4], blocks[4:5], [*blocks[5:], model.conv_head, model.bn2]]
        stages |= {f"stage {i}": group for i, group in enumerate(groups, 1)}
    stages["head"] = [getattr(model, find_head(model))]
    return stages
