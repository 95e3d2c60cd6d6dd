"""Whether a layer normalizes its own weight in its forward, and by what."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

WeightNormalization = Literal["norm", "std", "matrix"]
"""What the layer divides by: each filter's norm (WN, CWN), its standard deviation (WS), or the whole weight's norm."""

_PLAIN_FORWARDS = {
    cls.forward
    for cls in (
        *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
        *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    )
}


def weight_normalization(module: nn.Module) -> WeightNormalization | None:
    """What a layer divides its own weight by; None if it does not. An attribute of its class says so, or a trial."""
    marked = getattr(module, "normalizes_weight", None)
    if marked is not None or type(module).forward in _PLAIN_FORWARDS:
        return marked
    return _try_out(module)


def _try_out(module: nn.Module) -> WeightNormalization | None:
    """Run the layer alone on a small random input: does its output depend on the weight's scale, or on its mean?"""
    weight = module._parameters.get("weight")
    if weight is None or not weight.is_floating_point():
        return None
    kept = weight.detach().clone()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            noise = torch.randn(weight.shape).to(weight)
            x = torch.randn(_smallest_input(module)).to(weight)
            plain, scaled, moved = (_with_weight(module, w, x) for w in (noise, noise * 4, noise + 1))
    except Exception:  # a foreign layer that takes more inputs (offsets, masks) cannot be tried alone
        return None
    finally:
        weight.detach().copy_(kept)
    if not torch.allclose(plain, scaled, rtol=1e-3, atol=1e-4):
        return None
    return "std" if torch.allclose(plain, moved, rtol=1e-2, atol=1e-3) else "norm"


def _with_weight(module: nn.Module, weight: Tensor, x: Tensor) -> Tensor:
    module.weight.detach().copy_(weight)  # type: ignore[operator]
    return module.forward(x)


def _smallest_input(module: nn.Module) -> tuple[int, ...]:
    if isinstance(module, nn.Linear):
        return (2, module.in_features)
    spatial = (2 * d * (k - 1) + 2 for d, k in zip(module.dilation, module.kernel_size, strict=True))  # type: ignore[arg-type]
    return (2, int(module.in_channels), *spatial)  # type: ignore[arg-type]
