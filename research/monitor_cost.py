"""What a monitor costs, as a share of training without it."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.monitor.monitor import Monitor


class Cost(NamedTuple):
    share: float
    """Time of the monitor per update, over the time of an update without it."""
    update: float
    """Seconds of an update without the monitor: forward, backward and step."""
    report: float
    """Seconds that a reported update takes longer."""
    between: float
    """Seconds that any other update takes longer."""


def monitor_cost(
    model: nn.Module, optimizer: Optimizer, loss: Callable[[nn.Module], Tensor], every: int = 50, updates: int = 8
) -> Cost:
    """Measured in one run, by medians: what differs are calls of `step` with a report, without one, and unwatched.

    Args:
        updates: how many of each are timed.
    """
    whole, plain = [], []
    for _ in range(updates):
        whole.append(_timed(lambda: _backward(model, optimizer, loss)))
        plain.append(_timed(optimizer.step))
    with Monitor(optimizer, model, every=1):
        _timed(optimizer.step)
        reported = [_timed(optimizer.step) for _ in range(updates)]
    with Monitor(optimizer, model, every=10**9):
        between = _hook_seconds(optimizer)
    update = median(whole) + median(plain)
    report = median(reported) - median(plain)
    return Cost((report + (every - 1) * between) / every / update, update, report, between)


def _backward(model: nn.Module, optimizer: Optimizer, loss: Callable[[nn.Module], Tensor]) -> None:
    optimizer.zero_grad()
    loss(model).backward()


def _hook_seconds(optimizer: Optimizer, calls: int = 2000) -> float:
    """A step costs far more than its idle hooks, so these are called alone."""
    hooks = [*optimizer._optimizer_step_pre_hooks.values(), *optimizer._optimizer_step_post_hooks.values()]

    def call() -> None:
        for _ in range(calls):
            for hook in hooks:
                hook(optimizer, (), {})

    return _timed(call) / calls


def _timed(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start
