"""Steps that are compiled or captured: keep our hooks alive, or say that a step cannot be captured.

In torch before 2.6 the first torch.compile of a process takes step hooks off.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from normreg_plugins.core.errors import NormRegError


def keep_step_hooks(optimizer: Optimizer) -> None:
    """Let torch take the hooks off now, then put them back.

    Early torch 2 replaces the `step` of every optimizer class when something is compiled for the first time. From then
    on hooks are not called any more, and no warning says so. Refusing compiled models would not help, because a model
    may be compiled after the method is attached. The new `step` is hidden from the compiler, which cannot trace our
    entry in the state.
    """
    version = tuple(map(int, torch.__version__.split(".")[:2]))
    if version >= (2, 6):
        return
    from torch._dynamo.eval_frame import TorchPatcher, innermost_fn

    if "hooked" not in inspect.getsource(TorchPatcher.patch):
        return
    TorchPatcher.patch()
    cls: Any = type(optimizer)
    if not _calls_hooks(cls.step):
        cls.step = torch._dynamo.disable(Optimizer.profile_hook_step(innermost_fn(cls.step)))
        cls.step.hooked = True


def _calls_hooks(step: Any) -> bool:
    """Whether torch's wrapper that calls the hooks is among those around this `step`."""
    wrapper = Optimizer.profile_hook_step(lambda _: None).__code__
    while step is not None:
        if getattr(step, "__code__", None) is wrapper:
            return True
        step = getattr(step, "__wrapped__", None)
    return False


def refuse_capture(weight: Tensor) -> None:
    """Say that a CUDA graph must not hold `optimizer.step()`."""
    if weight.is_cuda and torch.cuda.is_current_stream_capturing():
        raise NormRegError(
            "optimizer.step() is being captured in a CUDA graph. A replay calls no hooks, so its updates would not be "
            "counted. Capture forward and backward, and call optimizer.step() outside of the graph."
        )
