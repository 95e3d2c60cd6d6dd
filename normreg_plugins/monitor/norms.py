"""The norms of filters, in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from normreg_plugins.core.model import filters_of


@torch.no_grad()
def norm_summary(model: nn.Module, names: Iterable[str]) -> dict[str, float]:
    """Least, mean and greatest filter norm over the named weights, the extreme layer means, and zero filters.

    `Report.scalars()` of a monitor has these under the same names.
    """
    modules = dict(model.named_modules())
    owners = [modules[name.rpartition(".")[0]] for name in names]
    norms = [filters_of(owner).norms(owner.weight).flatten().float() for owner in owners]
    layers = torch.stack([each.mean() for each in norms])
    every = torch.cat(norms)
    values = torch.stack(
        [every.min(), every.mean(), every.max(), layers.min(), layers.max(), (every == 0).sum().float()]
    )
    keys = ("min", "mean", "max", "smallest_layer", "largest_layer", "zero_filters")
    return dict(zip(keys, values.tolist()))
