"""Make a sound network of averaged weights.

The mean of unit vectors that differ in direction is shorter than one. The running statistics that an average comes with
(copied from the trained model, or averaged like any number) belong to filters of the trained model's length. So an
averaged network normalizes outputs of short filters by statistics of long ones, and every layer's output shrinks.

Giving the filters their length back needs no data, and is exact where the average has the trained model's directions.
Where it has not, the statistics are right to first order only. With batches at hand, measure them anew:
`torch.optim.swa_utils.update_bn(batches, averaged)` after this.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.filters import filters_of, safe_factors
from normreg_plugins.core.parts import keeps_channel_statistics


@torch.no_grad()
def correct_average_(averaged: nn.Module, model: nn.Module, names: Iterable[str]) -> None:
    """Give each filter of `averaged` the length it has in `model`, and its norms the running statistics of `model`.

    Call it after the average was updated, before it is evaluated or saved; any number of times.

    Args:
        averaged: a copy of the model with averaged weights, as in `AveragedModel(...).module`.
        names: the weights whose scale the network cannot see, as in `handle.targets`.
    """
    theirs = dict(model.named_modules())
    ours = dict(averaged.named_modules())
    for name in names:
        owner = name.rpartition(".")[0]
        if owner not in ours or owner not in theirs:
            raise SelectionError(
                f"{name!r} is not in both models: pass the average of this model (AveragedModel.module)"
            )
        filters = filters_of(ours[owner])
        lengths = filters.norms(theirs[owner].weight)
        weight = ours[owner].weight
        filters.scale_(weight, safe_factors(lengths, filters.norms(weight)).nan_to_num(1, 1, 1))
    for name, norm in ours.items():
        if keeps_channel_statistics(norm) and norm.running_mean is not None:
            for statistic in ("running_mean", "running_var"):
                getattr(norm, statistic).copy_(getattr(theirs[name], statistic))
