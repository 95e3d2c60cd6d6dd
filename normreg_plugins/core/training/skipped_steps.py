"""Notice steps that are no updates, without making the CPU wait for the GPU.

When a gradient scaler meets an overflow, it does not call `step`. Only a fused optimizer is called, and skips the step
inside. The scaler has then set its attribute `found_inf`, a tensor that is above 0 if the step is skipped.

torch's distributed checkpoints make a step with learning rate 0 and gradients of zeros, so that an optimizer that has
not stepped yet has a state to load into.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from normreg_plugins.core.model import whole


def skip_flag(optimizer: Optimizer) -> Tensor | None:
    """Above 0 if the step now running skips inside; None if it cannot."""
    return getattr(optimizer, "found_inf", None)


def closure_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The closure of a step, from what its hooks are given; None if it has none."""
    return args[1] if len(args) > 1 else kwargs.get("closure")  # args[0] is the optimizer


def moves_nothing(optimizer: Optimizer) -> bool:
    """Whether all rates and gradients are 0. Gradients are read only if all rates are 0 and known on the CPU."""
    if not all(_is_zero_on_cpu(group.get("lr")) for group in optimizer.param_groups):
        return False
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return not any(whole(torch.linalg.vector_norm(gradient)) for gradient in gradients)


def _is_zero_on_cpu(rate: float | Tensor | None) -> bool:
    return rate is not None and (not isinstance(rate, Tensor) or rate.device.type == "cpu") and not rate


class UnreadFlag(NamedTuple):
    """The skip flag of one step, with a copy on its way to the CPU."""

    flag: Tensor
    copy: Tensor
    copied: torch.cuda.Event | None

    @classmethod
    def of(cls, flag: Tensor) -> UnreadFlag:
        copy, copied = flag.reshape(()).to("cpu", non_blocking=True), None
        if flag.is_cuda:
            copied = torch.cuda.Event()
            copied.record()
        return cls(flag.reshape(()), copy, copied)

    def arrived(self) -> bool:
        return self.copied is None or self.copied.query()


class UnreadFlags:
    """Skip flags of steps whose answer was not needed yet. To read one that has not arrived, the CPU would wait."""

    def __init__(self) -> None:
        self._flags: list[UnreadFlag] = []

    def __len__(self) -> int:
        return len(self._flags)

    def add(self, flag: Tensor) -> None:
        self._flags.append(UnreadFlag.of(flag))

    def all_arrived(self) -> bool:
        return all(flag.arrived() for flag in self._flags)

    def last_was_skipped(self) -> bool:
        """Only when its flag has arrived: to read the one on the device, the CPU would wait."""
        return bool(self._flags[-1].copy)

    def last_was_one_of(self, updates: Collection[int]) -> Tensor:
        """On the device: whether the last of these steps was made, and was one of these updates, counted from 1."""
        made = torch.stack([flag.flag for flag in self._flags]) == 0
        if len(updates) == len(self):
            return made[-1]
        return made[-1] & torch.stack([made.sum() == update for update in updates]).any()

    def take(self) -> int:
        """How many of these steps were made; then forget them."""
        if not self._flags:
            return 0
        made = int((torch.stack([flag.flag for flag in self._flags]) == 0).sum())
        self._flags.clear()
        return made

    def take_arrived(self) -> int:
        """The same of the first steps, up to the first whose flag has not arrived yet."""
        arrived = list(itertools.takewhile(UnreadFlag.arrived, self._flags))
        del self._flags[: len(arrived)]
        return sum(not flag.copy.item() for flag in arrived)

    def clear(self) -> None:
        self._flags.clear()
