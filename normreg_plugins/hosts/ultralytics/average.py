"""The trainer's moving average, corrected for as long as it is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from normreg_plugins.core import Handle
from normreg_plugins.core.parts import keeps_channel_statistics


@contextmanager
def corrected(average: nn.Module, handle: Handle) -> Iterator[None]:
    """A correct network (see `correct_average_`) while it is evaluated or saved, then the running average again.

    So what is averaged does not depend on how often one looks. Tensors that held NaN or Inf keep what they have got
    meanwhile, for the trainer heals them when it saves.
    """
    kept = [(value, value.clone()) for value in _changeable(average, handle)]
    handle.correct_average(average)
    try:
        yield
    finally:
        with torch.no_grad():
            for value, before in kept:
                if before.isfinite().all():
                    value.copy_(before)


def _changeable(average: nn.Module, handle: Handle) -> Iterator[torch.Tensor]:
    """What a correction writes to: the targets and the running statistics of norms."""
    for name in handle.targets:
        yield average.get_parameter(name).detach()
    for module in average.modules():
        if keeps_channel_statistics(module):
            for statistic in (module.running_mean, module.running_var):
                if isinstance(statistic, torch.Tensor):
                    yield statistic
