"""One call of `optimizer.step()`: is it an update, does a method act in it, and which weight decay does it apply?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from normreg_plugins.core.errors import AttachError, NormRegError
from normreg_plugins.core.methods import Method

PerEpoch = float | Callable[[], float] | None
"""Updates per epoch, or a callable that is called when the first update comes."""

_CALLS_HOOKS = Optimizer.profile_hook_step(lambda _: None).__code__
"""The code of torch's wrapper around each `step`."""


def is_update(optimizer: Optimizer) -> bool:
    """Whether the step about to run, without a closure, changes parameters."""
    return not (_skips(optimizer) or _moves_nothing(optimizer))


def _skips(optimizer: Optimizer) -> bool:
    """Whether a gradient scaler met an overflow.

    The scaler does not call `step` then, unless the optimizer is fused and skips the step inside. For such an optimizer
    it sets `found_inf`, a tensor above 0. Reading it waits for the GPU once per step.
    """
    flag = getattr(optimizer, "found_inf", None)
    return flag is not None and bool(flag > 0)


def _moves_nothing(optimizer: Optimizer) -> bool:
    """Whether all rates and gradients are 0, as when DCP creates optimizer state to load into.

    Gradients are read only if all rates are 0 and known on the CPU.
    """
    if not all(_is_zero_on_cpu(group.get("lr")) for group in optimizer.param_groups):
        return False
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return not any(bool(gradient.any()) for gradient in gradients)


def _is_zero_on_cpu(rate: float | Tensor | None) -> bool:
    return rate is not None and (not isinstance(rate, Tensor) or rate.device.type == "cpu") and not rate


def is_nested(optimizer: Optimizer) -> bool:
    """Whether a hook runs in a step that another step of the same optimizer called.

    torch calls the hooks in the `step` of a class and, if that calls `super().step()`, in that of its base class too.
    """
    if sum("step" in vars(cls) for cls in type(optimizer).__mro__) <= 2:  # its own and Optimizer's
        return False
    frame: FrameType | None = sys._getframe(1)
    calls = 0
    while frame is not None:
        calls += frame.f_code is _CALLS_HOOKS and frame.f_locals.get("self") is optimizer
        frame = frame.f_back
    return calls > 1


def closure_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The closure of a step, from what its hooks are given; None if it has none."""
    return args[1] if len(args) > 1 else kwargs.get("closure")  # args[0] is the optimizer


def then_once(closure: Callable[[], Any], after: Callable[[], None]) -> Callable[[], Any]:
    """`closure`, followed by `after` the first time it is called."""
    done = False

    def both() -> Any:
        nonlocal done
        loss = closure()
        if not done:
            done = True
            with torch.no_grad():
                after()
        return loss

    return both


def refuse_capture(weight: Tensor) -> None:
    """A CUDA graph must not contain `optimizer.step()`."""
    if weight.is_cuda and torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
        raise NormRegError(
            "optimizer.step() is being captured in a CUDA graph. A replay calls no hooks, so its updates would not be "
            "counted. Capture forward and backward, and call optimizer.step() outside of the graph."
        )


class Phase:
    """The updates in which a method acts. How many updates an epoch has may be known only once training runs."""

    def __init__(self, method: Method, updates_per_epoch: PerEpoch) -> None:
        self._begin, self._end = method.begin, method.end
        self._per_epoch = updates_per_epoch if method.unit == "epoch" else 1
        if not self._per_epoch:
            raise AttachError(
                f"{method!r} gives its phase in epochs: pass updates_per_epoch (got {updates_per_epoch!r})"
            )

    def contains(self, update: int) -> bool:
        length = self._updates_of_a_unit()
        return self._begin * length < update and (self._end is None or update <= self._end * length)

    def first(self, interval: int) -> int | None:
        """The first update in it whose number is a multiple of `interval`; None if it ends before."""
        update = int(self._begin * self._updates_of_a_unit() // interval + 1) * interval
        return update if self.contains(update) else None

    def _updates_of_a_unit(self) -> float:
        if callable(self._per_epoch):
            self._per_epoch = self._per_epoch()
        return self._per_epoch or 1


class DecayInStep:
    """The weight decay that a step applies.

    While a step runs, spared parameters are in parameter groups of their own, without decay. Between steps the groups
    are as the user made them: schedulers, checkpoints and code that sets rates by hand see nothing of it.

    Args:
        spared: the ids of the parameters without weight decay.
    """

    def __init__(self, optimizer: Optimizer, spared: set[int]) -> None:
        self._optimizer, self._spared = optimizer, spared
        self._before: list[tuple[dict[str, Any], dict[str, Any]]] = []
        """Each group that was changed, and what it had before."""
        self._added: list[dict[str, Any]] = []

    @torch.no_grad()
    def before_step(self, *, beside: bool, off: bool) -> None:
        """Takes decay out of the step: of spared parameters, or of all.

        Args:
            beside: Theta <- Theta - eta lambda Theta beside the step instead (WRS paper, Algorithm 1, line 7).
            off: no decay at all.
        """
        self.after_step()  # of a step that raised an error
        for group in self._optimizer.param_groups:
            if not (decay := group.get("weight_decay")):
                continue
            spared = [p for p in group["params"] if id(p) in self._spared]
            others = [p for p in group["params"] if id(p) not in self._spared]
            for parameter in others if beside else ():
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * decay)
            none = {"weight_decay": type(decay)(0)}
            if beside or off or not others:
                self._change(group, none)
            elif spared:
                self._added.append({**group, "params": spared, **none})
                self._change(group, {"params": others})
        self._optimizer.param_groups.extend(self._added)

    def _change(self, group: dict[str, Any], entries: dict[str, Any]) -> None:
        self._before.append((group, {key: group[key] for key in entries}))
        group.update(entries)

    def after_step(self) -> None:
        """Restores the groups."""
        while self._before:
            group, entries = self._before.pop()
            group.update(entries)
        groups = self._optimizer.param_groups
        while self._added:
            added = self._added.pop()
            groups[:] = [group for group in groups if group is not added]
