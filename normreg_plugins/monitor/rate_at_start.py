"""What a method does to the effective learning rate when it first acts, and the rate that would keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import SGD, Adadelta, Adagrad, Optimizer, RMSprop

from normreg_plugins.core import Handle
from research.filters.effective_rates import RateSwitch, switch_of_rate


@dataclass(frozen=True)
class RateAtStart:
    """The change of the effective rate of the weights that a method acts on."""

    switch: RateSwitch
    rate: float
    """The learning rate that the optimizer has."""

    @property
    def rate_that_keeps(self) -> float:
        """With this learning rate, a filter of the median norm has the effective rate that it had before."""
        return self.rate / self.switch.factor

    def __str__(self) -> str:
        switch = self.switch
        return (
            f"the filters are {switch.filter_norm:.2g} long (median). The norm {switch.radius:.3g} that they will get "
            f"multiplies the effective rate by {switch.factor:.2g} ({switch.least_factor:.2g} to "
            f"{switch.greatest_factor:.2g}, filter by filter); lr={self.rate_that_keeps:.2g} in place of "
            f"{self.rate:.2g} would keep it"
        )


def rate_at_start(handle: Handle) -> RateAtStart | None:
    """What the method of `handle` does to the effective rate of a new run; None where that is no single number.

    A method that gives filters no common norm has none, and so have optimizers that are neither SGD nor adaptive.
    """
    radius, power = handle.method.filter_norm, norm_power(handle.optimizer)
    norms = [norm for each in handle.norms_at_start.values() for norm in _usable(each)]
    if radius is None or power is None or not norms:
        return None
    return RateAtStart(switch_of_rate(norms, radius, power), _rate(handle.optimizer))


def norm_power(optimizer: Optimizer) -> int | None:
    """p in the effective rate eta / ||w||^p: 2 for SGD, 1 for optimizers that divide by the size of gradients."""
    defaults = optimizer.defaults
    if "betas" in defaults or isinstance(optimizer, RMSprop | Adagrad | Adadelta):
        return 1
    return 2 if isinstance(optimizer, SGD) or _looks_like_sgd(defaults) else None


def _looks_like_sgd(defaults: Mapping[str, object]) -> bool:
    return {"momentum", "dampening", "nesterov"} <= defaults.keys()


def _usable(norms: Tensor) -> list[float]:
    return list(norms[(norms > 0) & torch.isfinite(norms)].tolist())


def _rate(optimizer: Optimizer) -> float:
    """The highest of its groups, before any warm-up."""
    return max(float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups)
