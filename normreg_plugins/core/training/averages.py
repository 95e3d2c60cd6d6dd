"""Make a correct network of averaged weights (EMA, SWA).

Two things are wrong with the mean of several networks. The mean of unit filters that differ in direction is shorter
than 1, and the averaged running statistics belong to other filters. Restoring the norms needs no data, but leaves the
statistics wrong for the new directions. Statistics measured on batches fit any weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import (
    evaluation_mode,
    filters_of,
    has_running_statistics,
    safe_factors,
    same_randomness,
    training_mode,
)
from normreg_plugins.core.verdicts import Forward


@torch.no_grad()
def correct_average_(
    averaged: nn.Module, model: nn.Module, names: Iterable[str], forwards: Iterable[Forward] = ()
) -> None:
    """Give each filter of `averaged` the norm it has in `model`, and its norm layers matching running statistics.

    Call it after the average was updated, before it is evaluated or saved; any number of times.

    Args:
        averaged: a copy of the model with averaged weights, as in `AveragedModel(...).module`.
        names: the weights whose scale the network cannot see, as in `handle.targets`.
        forwards: callables that each run a forward of the model they are given on a batch; the statistics are measured
            on them. Without any, the statistics of `model` are copied, which fit only roughly.
    """
    match_norms_(averaged, model, names)
    _copy_statistics_(averaged, model)
    batches = list(forwards)
    if batches:
        with training_mode(averaged):
            norms = [norm for norm in averaged.modules() if norm.training and takes_means(norm)]
        with evaluation_mode(averaged), measuring_statistics(norms):
            for forward in batches:
                forward(averaged)


@torch.no_grad()
def match_norms_(averaged: nn.Module, model: nn.Module, names: Iterable[str]) -> None:
    """Give each filter of the named weights of `averaged` the norm it has in `model`; filters with NaN or Inf stay."""
    theirs, ours = dict(model.named_modules()), dict(averaged.named_modules())
    for name in names:
        owner = name.rpartition(".")[0]
        if owner not in ours or owner not in theirs:
            raise SelectionError(f"{name!r} is not in both models: pass the average of this one (AveragedModel.module)")
        filters, weight = filters_of(ours[owner]), ours[owner].weight
        norms: Tensor = filters.norms(theirs[owner].weight).to(weight.device)
        filters.scale_(weight, safe_factors(norms, filters.norms(weight)).nan_to_num(1, 1, 1))


def _copy_statistics_(averaged: nn.Module, model: nn.Module) -> None:
    theirs = dict(model.named_modules())
    for name, norm in averaged.named_modules():
        if has_running_statistics(norm):
            norm.running_mean.copy_(theirs[name].running_mean)
            norm.running_var.copy_(theirs[name].running_var)


def takes_means(module: nn.Module) -> bool:
    """Whether it is a norm layer that can take the mean of its statistics over batches."""
    return isinstance(module, _BatchNorm) and module.num_batches_tracked is not None


@contextmanager
def measuring_statistics(norms: Iterable[nn.Module], momentum: float | None = None) -> Iterator[None]:
    """Let forwards measure the running statistics of these norm layers, as in training.

    Args:
        momentum: how much each batch counts; None for a plain mean over the batches instead of the running average. A
            norm layer that no forward reaches keeps its statistics.
    """
    before = [(norm, norm.momentum, norm.training) for norm in norms]
    for norm, _, _ in before:
        norm.train()
        norm.momentum = momentum  # type: ignore[assignment]
        if momentum is None:
            norm.num_batches_tracked.zero_()  # type: ignore[operator]
    try:
        with same_randomness():
            yield
    finally:
        for norm, old, mode in before:
            norm.momentum, norm.training = old, mode
