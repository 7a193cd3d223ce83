"""Low precision where a device computes faster in it."""

import contextlib

import torch


def autocast(device: str, precision: str) -> contextlib.AbstractContextManager:
    """Matrix products in `precision` where it is lower than float32; weights stay float32."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device, getattr(torch, precision))


def make_scaler(device: str, precision: str) -> torch.amp.GradScaler:
    """Scales the loss where gradients would be too small for float16; elsewhere it does nothing."""
    return torch.amp.GradScaler(device, enabled=precision == "float16")
