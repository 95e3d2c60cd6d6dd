"""The first update of a real net, and what the test of its gradients finds."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils._pytree import tree_flatten

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.core.errors import UnconfirmedWarning


def worst_share(
    net: nn.Module, forward: Callable[[nn.Module], Any], dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> float:
    """The largest part of a gradient along its weight, in multiples of what rounding may leave.

    A doubt or a contradiction is an error.
    """
    torch.manual_seed(0)
    optimizer = SGD([p for p in net.parameters() if p.requires_grad], lr=0.0)
    with attach(optimizer, net, WeightRescaling(interval=1), forward=forward), caplog.at_level(logging.DEBUG):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            outputs = tree_flatten(forward(net))[0]
        seen = [t.float() for t in outputs if isinstance(t, Tensor) and t.requires_grad]
        torch.stack([(t * torch.randn_like(t)).mean() for t in seen]).sum().backward()
        with warnings.catch_warnings():
            warnings.simplefilter("error", UnconfirmedWarning)
            optimizer.step()
    net.zero_grad()
    (found,) = re.findall(r"gradients of (\d+) weights .* at most ([\d.e+-]+) of", caplog.text)
    assert int(found[0]) > 0
    print(f"{type(net).__name__} {dtype}: {found[0]} weights, at most {found[1]} of the limit")
    return float(found[1])
