"""What older versions of torch need. Delete this file when torch 2.6 is the oldest version that we support."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

RMSNorm = getattr(nn, "RMSNorm", nn.LayerNorm)  # torch >= 2.4

if hasattr(torch.compiler, "is_compiling"):
    from torch.compiler import is_compiling
else:  # torch < 2.3; the compiler recognises only its own function
    from torch._dynamo.external_utils import is_compiling

__all__ = ["RMSNorm", "eager", "is_compiling", "keep_step_hooks"]


def eager() -> AbstractContextManager[Any]:
    """Runs a compiled model in eager mode, because compiled code hides its operations (torch >= 2.6)."""
    set_stance = getattr(torch.compiler, "set_stance", None)
    return nullcontext() if set_stance is None else set_stance("force_eager")


def keep_step_hooks(optimizer: Optimizer) -> None:
    """Keeps step hooks alive when something is compiled (torch < 2.6).

    There the first torch.compile of a process replaces the `step` of every optimizer class by one that calls no hooks,
    without a warning. The model may be compiled after the method is attached, so compiled models cannot be refused.
    Instead torch is made to replace `step` now, and the hooks are put back.
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
