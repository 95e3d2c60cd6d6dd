"""How far two results are apart, and what a net computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from helpers.layer_cases import fill_norms_
from normreg_plugins.core.model import leaves_of

EXACT = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}
"""Relative error that rounding explains."""
ALMOST_NO_EPS = 1e-30


def relative_error(found: Tensor, expected: Tensor) -> float:
    found, expected = found.detach().double(), expected.detach().double()
    return float((found - expected).norm() / expected.norm().clamp_min(1e-30))


@torch.no_grad()
def outputs(model: nn.Module, forward: Callable[[nn.Module], Any], *, train: bool) -> list[Tensor]:
    """What a forward returns, the same random numbers drawn each time; the model's state stays."""
    modes = [(m, m.training) for m in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.train(train)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        flat = [*leaves_of(forward(model))]
    model.load_state_dict(state)
    for module, mode in modes:
        module.training = mode
    return [tensor.clone() for tensor in flat if isinstance(tensor, Tensor)]


def change(before: list[Tensor], after: list[Tensor]) -> float:
    return max(relative_error(a, b) for a, b in zip(after, before, strict=True))


@torch.no_grad()
def as_trained(model: nn.Module, smallest_variance: float = 0.1) -> nn.Module:
    return fill_norms_(model, smallest_variance)


def without_eps(model: nn.Module) -> nn.Module:
    """Set every eps nearly to zero. Only then is the scale of a filter exactly invisible in training."""
    for module in model.modules():
        if isinstance(getattr(module, "eps", None), float):
            module.eps = ALMOST_NO_EPS
    return model
