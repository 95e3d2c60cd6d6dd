"""The first update of a real net, and what the test of its gradients finds."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils._pytree import tree_flatten

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.core.errors import UnconfirmedWarning


def worst_share(net: nn.Module, forward: Callable[[nn.Module], Any], dtype: torch.dtype) -> float:
    """The largest part of a gradient along its weight, in multiples of what rounding may leave.

    A doubt or a contradiction is an error.
    """
    torch.manual_seed(0)
    optimizer = SGD([p for p in net.parameters() if p.requires_grad], lr=0.0)
    with attach(optimizer, net, WeightRescaling(interval=1), forward=forward) as handle:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            outputs = tree_flatten(forward(net))[0]
        seen = [t.float() for t in outputs if isinstance(t, Tensor) and t.requires_grad]
        torch.stack([(t * torch.randn_like(t)).mean() for t in seen]).sum().backward()
        test = handle._confirmation
        with warnings.catch_warnings():
            warnings.simplefilter("error", UnconfirmedWarning)
            optimizer.step()
    worst = max(along.excess for along in test.found.values())
    print(f"{type(net).__name__} {dtype}: {len(test.found)} weights, at most {worst:.2g} of the limit")
    return worst
