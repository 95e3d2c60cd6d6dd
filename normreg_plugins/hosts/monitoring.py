"""A monitor in a host's run: its weights, and the file it writes."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.optim import Optimizer

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import layers_of
from normreg_plugins.monitor import JsonLinesSink, Log, Monitor

FILE = "norms.jsonl"
"""The file in a run's folder with the monitor's reports, the loss and the scores. `normreg plot-norms` draws it."""
EVERY = 50
"""The default number of updates between two reports."""


def start_monitor(
    optimizer: Optimizer,
    model: nn.Module,
    every: int = EVERY,
    names: Iterable[str] | None = None,
    sink: JsonLinesSink | None = None,
    warn: Log | None = None,
) -> Monitor:
    """A monitor of the named weights, or of those that `Monitor` chooses.

    A network without norm layers has no scale-invariant weight. Then all weights of conv and linear layers are
    monitored, so that a baseline can be compared with a method.
    """
    sinks = [] if sink is None else [sink]
    try:
        return Monitor(optimizer, model, every, names, sinks=sinks, warn=warn)
    except SelectionError:
        if names is not None:
            raise
        return Monitor(optimizer, model, every, _all_weights(optimizer, model), sinks=sinks, warn=warn)


def _all_weights(optimizer: Optimizer, model: nn.Module) -> list[str]:
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return [each.name for each in layers_of(model) if each.not_scalable is None and id(each.weight) in trained]
