"""AdamP and SGDP, the baselines of the WRS paper (Section VI-A), from timm."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from mmengine.registry import OPTIMIZERS
from torch.optim import Optimizer


def adamp(params: Iterable, **options: Any) -> Optimizer:
    from timm.optim import AdamP  # imported when it is asked for: timm takes a while

    return AdamP(params, **options)


def sgdp(params: Iterable, **options: Any) -> Optimizer:
    from timm.optim import SGDP

    return SGDP(params, **options)


if find_spec("timm") is not None:
    OPTIMIZERS.register_module("AdamP", module=adamp)
    OPTIMIZERS.register_module("SGDP", module=sgdp)
