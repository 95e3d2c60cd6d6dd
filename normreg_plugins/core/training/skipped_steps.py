"""Notice steps that are no updates, without making the CPU wait for the GPU.

When a gradient scaler meets an overflow, it does not call `step`. Only a fused optimizer is called, and skips the step
inside. The scaler has then set its attribute `found_inf`, a tensor that is above 0 if the step is skipped.

torch's distributed checkpoints make a step with learning rate 0 and gradients of zeros, so that an optimizer that has
not stepped yet has a state to load into.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from normreg_plugins.core.model import whole


def skip_flag(optimizer: Optimizer) -> Tensor | None:
    """Above 0 if the step now running skips inside; None if it cannot."""
    return getattr(optimizer, "found_inf", None)


def moves_nothing(optimizer: Optimizer) -> bool:
    """Whether all rates and gradients are 0. Gradients are read only if all rates are 0 and known on the CPU."""
    if not all(_is_zero_on_cpu(group.get("lr")) for group in optimizer.param_groups):
        return False
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return not any(whole(torch.linalg.vector_norm(gradient)) for gradient in gradients)


def _is_zero_on_cpu(rate: float | Tensor | None) -> bool:
    return rate is not None and (not isinstance(rate, Tensor) or rate.device.type == "cpu") and not rate


class UnreadFlags:
    """Skip flags of steps whose answer was not needed yet; reading one makes the CPU wait for the GPU."""

    def __init__(self) -> None:
        self._flags: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._flags)

    def add(self, flag: Tensor) -> None:
        self._flags.append(flag)

    def last_was_skipped(self) -> bool:
        return bool(self._flags[-1])

    def take(self) -> int:
        """How many of these steps were made; then forget them."""
        if not self._flags:
            return 0
        made = int((torch.stack([flag.reshape(()) for flag in self._flags]) == 0).sum())
        self._flags.clear()
        return made

    def clear(self) -> None:
        self._flags.clear()
