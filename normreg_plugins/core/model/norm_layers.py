"""Norm layers (batch, group, layer and instance norm) and the scale-bias layers that stand in their place.

A norm layer is recognised by its class in torch. A norm layer of another library, such as a FrozenBatchNorm2d, is
recognised by its running statistics, so that the library need not be imported.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm

_RMSNorm = getattr(nn, "RMSNorm", nn.LayerNorm)  # torch >= 2.4


def is_norm_layer(module: nn.Module) -> bool:
    return isinstance(module, _NormBase | nn.GroupNorm | nn.LayerNorm | _RMSNorm) or _keeps_statistics(module)


def keeps_channel_statistics(module: nn.Module) -> bool:
    """Whether each channel has a statistic of its own, as in batch and instance norms."""
    return isinstance(module, _NormBase) or _keeps_statistics(module)


def _keeps_statistics(module: nn.Module) -> bool:
    return all(torch.is_tensor(getattr(module, name, None)) for name in ("running_mean", "running_var"))


def has_running_statistics(module: nn.Module) -> bool:
    """Whether it keeps running statistics per channel now; `track_running_stats=False` leaves none."""
    return keeps_channel_statistics(module) and module.running_mean is not None


def is_instance_norm(module: nn.Module) -> bool:
    return isinstance(module, _InstanceNorm)


def is_frozen(norm: nn.Module) -> bool:
    """Whether a norm layer uses its running statistics now. A foreign one without a momentum always does."""
    if not keeps_channel_statistics(norm) or getattr(norm, "running_mean", None) is None:
        return False
    return not norm.training or not hasattr(norm, "momentum")


def is_scale_bias(module: nn.Module) -> bool:
    """Whether this is a scale-bias layer, which takes the place of a norm layer (constrained paper, eq. 6-7).

    An attribute of its class says so.
    """
    return bool(getattr(module, "is_scale_bias", False))
