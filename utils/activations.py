"""What the layers of a network answer to a batch of pictures."""

import torch
from torch import nn


def record_outputs(model: nn.Module, images: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    """(name, output [N, …]) of every layer of `model` in the order they worked, in eval mode.

    Layers are the direct children of `model`; one that is used three times is there three times.
    """
    outputs = []
    handles = [
        layer.register_forward_hook(
            lambda layer, inputs, output, name=name: outputs.append((name, output))
        )
        for name, layer in model.named_children()
    ]
    with torch.inference_mode():
        model.eval()(images)
    for handle in handles:
        handle.remove()
    return outputs
