"""The optimizers that the methods are tried around."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from inspect import signature

import torch
from torch import Tensor, nn, optim

Make = Callable[[Iterable[nn.Parameter], float], optim.Optimizer]

FUSED_ON_CPU = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 4)


def _make(kind: type[optim.Optimizer], parameters: Iterable[nn.Parameter], lr: float, **options: object):
    options["weight_decay"] = 0.0
    if "eps" in signature(kind).parameters:
        options["eps"] = 1e-4  # the usual 1e-8 is 0 in float16
    return kind(parameters, lr=lr, **options)


OPTIMIZERS: dict[str, Make] = {
    "SGD": partial(_make, optim.SGD),
    "SGD foreach": partial(_make, optim.SGD, foreach=True),
    "SGD momentum": partial(_make, optim.SGD, momentum=0.9),
    "SGD nesterov": partial(_make, optim.SGD, momentum=0.9, nesterov=True, foreach=True),
    "Adam": partial(_make, optim.Adam),
    "Adam foreach": partial(_make, optim.Adam, foreach=True),
    "AdamW": partial(_make, optim.AdamW),
    "AdamW amsgrad foreach": partial(_make, optim.AdamW, amsgrad=True, foreach=True),
    "RMSprop": partial(_make, optim.RMSprop, momentum=0.5, centered=True),
    "RMSprop foreach": partial(_make, optim.RMSprop, foreach=True),
}
if FUSED_ON_CPU:
    OPTIMIZERS |= {
        "SGD fused": partial(_make, optim.SGD, momentum=0.9, fused=True),
        "Adam fused": partial(_make, optim.Adam, fused=True),
        "AdamW fused": partial(_make, optim.AdamW, fused=True),
    }


def can_step(name: str, dtype: torch.dtype) -> bool:
    """Whether the plain optimizer works in this dtype on this torch's CPU; float16 came late."""
    weight: Tensor = nn.Parameter(torch.ones(2, dtype=dtype))
    weight.grad = torch.ones_like(weight)
    try:
        OPTIMIZERS[name]([weight], 0.1).step()
    except RuntimeError as error:
        if "not implemented for 'Half'" not in str(error):
            raise
        return False
    return True
