"""Keep step hooks alive where torch.compile takes them off."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.optim import Optimizer

MARK = "_normreg_plugins_hooked"


def keep_step_hooks(optimizer: Optimizer) -> None:
    """Early torch 2 takes the step hooks off every optimizer class when something is compiled for the first time.

    It does so once per process, to trace `step` without them; a method would be attached and never called. So let it
    happen now, and put them back, out of the compiler's sight (which does not get along with our entry of the state).
    """
    version = tuple(map(int, torch.__version__.split(".")[:2]))
    if version >= (2, 6):
        return
    from torch._dynamo.eval_frame import TorchPatcher

    if "hooked" not in inspect.getsource(TorchPatcher.patch):
        return
    TorchPatcher.patch()
    cls: Any = type(optimizer)
    if not hasattr(cls.step, MARK):
        cls.step = torch._dynamo.disable(Optimizer.profile_hook_step(cls.step))
        cls.step.hooked = True
        setattr(cls.step, MARK, True)
