"""The lengths of filters, in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from normreg_plugins.core.model import filters_of


@torch.no_grad()
def norm_summary(model: nn.Module, names: Iterable[str]) -> dict[str, float]:
    """Least, mean and greatest filter length over the named weights, the extreme layer means, and zero filters."""
    modules = dict(model.named_modules())
    owners = [modules[name.rpartition(".")[0]] for name in names]
    lengths = [filters_of(owner).norms(owner.weight).flatten().float() for owner in owners]
    layers = torch.stack([each.mean() for each in lengths])
    every = torch.cat(lengths)
    values = torch.stack(
        [every.min(), every.mean(), every.max(), layers.min(), layers.max(), (every == 0).sum().float()]
    )
    keys = ("min", "mean", "max", "smallest_layer", "largest_layer", "zero_filters")
    return dict(zip(keys, values.tolist()))
