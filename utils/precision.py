"""Low precision where a device computes faster in it."""

import contextlib

import torch


def autocast(device: str, precision: str) -> contextlib.AbstractContextManager:
    """Matrix products in `precision` where it is lower than float32; weights stay float32."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device, getattr(torch, precision))
