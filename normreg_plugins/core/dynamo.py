"""Keep step hooks alive where torch.compile takes them off."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.optim import Optimizer


def keep_step_hooks(optimizer: Optimizer) -> None:
    """Early torch 2 takes the step hooks off every optimizer class when something is compiled for the first time.

    It does so once per process, to trace `step` without them; a method would be attached and never called. So let it
    happen now, and put them back, out of the compiler's sight (which does not get along with our entry of the state).
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
