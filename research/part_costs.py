"""Times the parts of this package on chains of small convolutions, in processor time of this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from torch import Tensor, nn
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach, find_scale_invariant
from normreg_plugins.monitor import Monitor

Parts = dict[str, float]
"""Seconds by the name of the part."""


def chain(weights: int, width: int = 4) -> nn.Sequential:
    pairs = [(nn.Conv2d(width if i else 3, width, 3, padding=1), nn.BatchNorm2d(width)) for i in range(weights)]
    return nn.Sequential(*(layer for pair in pairs for layer in pair))


def loss(images: Tensor, model: nn.Module) -> Tensor:
    return model(images).square().mean()


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def training_parts(net: nn.Module, forward: Callable[[nn.Module], Tensor]) -> Iterator[tuple[str, float]]:
    """Seconds of a plain step, to attach a method, of a step with a pass of WRS, and of one with a report too."""
    optimizer = SGD(net.parameters(), lr=1e-3)
    forward(net).backward()
    optimizer.step()
    yield "step of SGD alone", min(seconds(optimizer.step) for _ in range(3))
    wrs = WeightRescaling(interval=1)
    yield "attach", seconds(lambda: attach(optimizer, net, wrs, proof=find_scale_invariant(net)))
    forward(net).backward()
    optimizer.step()
    yield "step and pass of WRS", min(seconds(optimizer.step) for _ in range(3))
    with Monitor(optimizer, net, every=1):
        optimizer.step()
        yield "the same with a report of the monitor", min(seconds(optimizer.step) for _ in range(3))
