"""Make a sound network of averaged weights.

The mean of unit vectors that differ in direction is shorter than one. The running statistics that an average comes with
(copied from the trained model, or averaged like any number) belong to other filters: longer ones, and ones that point
elsewhere. Giving the filters their length back needs no data, but leaves the directions: how much of the error it takes
away depends on the data, and it can be less than nothing. Statistics measured on batches fit whatever the weights are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.filters import filters_of, safe_factors
from normreg_plugins.core.parts import keeps_channel_statistics
from normreg_plugins.core.preserve import same_randomness, training_mode


@torch.no_grad()
def correct_average_(
    averaged: nn.Module,
    model: nn.Module,
    names: Iterable[str],
    forwards: Iterable[Callable[[nn.Module], Any]] = (),
) -> None:
    """Give each filter of `averaged` the length it has in `model`, and its norms statistics to go with them.

    Call it after the average was updated, before it is evaluated or saved; any number of times.

    Args:
        averaged: a copy of the model with averaged weights, as in `AveragedModel(...).module`.
        names: the weights whose scale the network cannot see, as in `handle.targets`.
        forwards: callables that each run a forward of the model they are given on a batch; the statistics are measured
            on them. Without any they are those of `model`, which is a guess.
    """
    _match_lengths(averaged, model, names)
    _copy_statistics(averaged, model)
    batches = list(forwards)
    if batches:
        with _measuring(averaged):
            for forward in batches:
                forward(averaged)


def _match_lengths(averaged: nn.Module, model: nn.Module, names: Iterable[str]) -> None:
    theirs = dict(model.named_modules())
    ours = dict(averaged.named_modules())
    for name in names:
        owner = name.rpartition(".")[0]
        if owner not in ours or owner not in theirs:
            raise SelectionError(f"{name!r} is not in both models: pass the average of this one (AveragedModel.module)")
        filters = filters_of(ours[owner])
        lengths = filters.norms(theirs[owner].weight)
        weight = ours[owner].weight
        filters.scale_(weight, safe_factors(lengths, filters.norms(weight)).nan_to_num(1, 1, 1))


def _copy_statistics(averaged: nn.Module, model: nn.Module) -> None:
    theirs = dict(model.named_modules())
    for name, norm in averaged.named_modules():
        if keeps_channel_statistics(norm) and norm.running_mean is not None:
            for statistic in ("running_mean", "running_var"):
                getattr(norm, statistic).copy_(getattr(theirs[name], statistic))


@contextmanager
def _measuring(model: nn.Module) -> Iterator[None]:
    """Norms that follow their batches in training measure statistics anew, as a plain mean; all else evaluates."""
    with training_mode(model):
        norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training]
        norms = [norm for norm in norms if norm.num_batches_tracked is not None]
    momenta = [(norm, norm.momentum) for norm in norms]
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = None  # a plain mean over all batches, of which the first replaces what is there;
        norm.num_batches_tracked.zero_()  # type: ignore[union-attr]  # so one that no forward reaches keeps its own
    try:
        with same_randomness():
            yield
    finally:
        for norm, momentum in momenta:
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode
