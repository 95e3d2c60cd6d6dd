"""A hook that reports what training does to filters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.optim import Optimizer

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.mmengine.method_hook import bare_model, named_wrappers
from normreg_plugins.hosts.monitoring import EVERY, run_file, start_monitor
from normreg_plugins.monitor import JsonLinesSink, Monitor, Report

LOSS = "train/loss"


@dataclass
class _Monitored:
    """The monitor of one optimizer, and its last report that was written."""

    name: str
    """Of the optimizer, where there are several."""
    wrapper: OptimWrapper
    monitor: Monitor
    sink: JsonLinesSink | None
    written: Report | None = None


@HOOKS.register_module()
class NormRegMonitorHook(Hook):
    """Reports filter norms, effective rates and rotation with `monitor.Monitor`, with a method or without one.

        default_hooks = dict(monitor=dict(type="NormRegMonitorHook", interval=50))

    The visualizer's backends get the numbers over all layers, under names that begin with `norms/`. `norms.jsonl` in
    the work dir gets them too, with those of each layer, the loss and the scores; tools/plot_norms.py draws it. A
    resumed run appends to that file. Training is bit-identical. The configs of this project have the hook in
    default_hooks, as `monitor`; `default_hooks=dict(monitor=dict(interval=0))` switches it off.

    Args:
        interval: updates between two reports; 0 for no monitor.
        names: the weights to monitor. The default is those that a method acts on and those whose scale the network
            cannot see, or all weights of conv and linear layers if there are none.
    """

    priority = "BELOW_NORMAL"

    def __init__(self, interval: int = EVERY, names: Iterable[str] | None = None) -> None:
        if isinstance(interval, bool) or not isinstance(interval, int) or interval < 0:
            raise NormRegError(f"interval={interval!r}: must be a whole number of updates, or 0 for no monitor")
        self._interval, self._names = interval, names
        self._monitored: list[_Monitored] = []

    @property
    def monitors(self) -> list[Monitor]:
        """One for each optimizer."""
        return [each.monitor for each in self._monitored]

    def before_run(self, runner: Runner) -> None:
        """Before a checkpoint is loaded, so that the monitor continues the count of the checkpoint."""
        if self._monitored or not self._interval:
            return  # a runner that has trained and runs again
        if sum(isinstance(hook, NormRegMonitorHook) for hook in runner.hooks) > 1:
            raise NormRegError(
                "several monitor hooks would write to one file: use one, in default_hooks or custom_hooks"
            )
        for name, wrapper in named_wrappers(runner).items():
            if isinstance(wrapper.optimizer, Optimizer):
                sink = JsonLinesSink(run_file(runner.work_dir, name)) if is_main_process() else None
                monitor = start_monitor(wrapper.optimizer, bare_model(runner), self._interval, self._names, sink)
                self._monitored.append(_Monitored(name, wrapper, monitor, sink))

    def before_train(self, runner: Runner) -> None:
        """After a checkpoint was loaded, which has no count if its run had no monitor."""
        for each in self._monitored:
            each.monitor.suppose(runner.iter // each.wrapper._accumulative_counts)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        for each in self._monitored:
            report = each.monitor.last
            if report is each.written or report is None:
                continue
            each.written = report
            prefix = f"norms/{each.name}/" if each.name else "norms/"
            scalars = {**report.scalars(prefix), f"{prefix}updates": float(report.update)}
            runner.visualizer.add_scalars(_finite(scalars), step=runner.iter + 1)
            if each.sink is not None:
                each.sink.write(report.update, **_loss(runner, self._interval))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        for each in self._monitored:
            if each.sink is not None and metrics:
                numbers = {key: float(value) for key, value in metrics.items() if isinstance(value, Real)}
                each.sink.write(each.monitor.updates, **numbers)


def _finite(scalars: dict[str, float]) -> dict[str, float]:
    """Without NaN (the number does not exist), which some backends refuse."""
    return {key: value for key, value in scalars.items() if math.isfinite(value)}


def _loss(runner: Runner, iterations: int) -> dict[str, float]:
    """The mean loss of the latest iterations, if the model has a loss of that name."""
    logged = runner.message_hub.log_scalars.get(LOSS)
    return {} if logged is None else {"loss": float(logged.mean(iterations))}
