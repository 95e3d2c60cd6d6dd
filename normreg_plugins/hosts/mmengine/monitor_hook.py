"""A hook that shows what training does to filters, while it trains."""

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
class _Watch:
    """The monitor of one optimizer, and what was told of it."""

    name: str
    """Of the optimizer, where there are several."""
    wrapper: OptimWrapper
    monitor: Monitor
    sink: JsonLinesSink | None
    told: Report | None = None


@HOOKS.register_module()
class NormRegMonitorHook(Hook):
    """Reports filter norms, effective rates and rotation with `analysis.Monitor`, under a method or without one.

        default_hooks = dict(monitor=dict(type="NormRegMonitorHook", interval=50))

    The numbers over all layers go to the backends of the visualizer, under names that begin with `norms/`. The same
    numbers, those of each layer, the loss and the scores go to `norms.jsonl` in the work dir, which tools/plot_norms.py
    draws. A resumed run goes on in that file. Training stays the same bit by bit. The configs of this project have the
    hook in default_hooks, as `monitor`; `default_hooks=dict(monitor=dict(interval=0))` switches it off.

    Args:
        interval: updates between two reports; 0 for no monitor.
        names: the weights to watch. The default is those that a method acts on and those whose scale the network cannot
            see; where there are none, the weights of all conv and linear layers.
    """

    priority = "BELOW_NORMAL"

    def __init__(self, interval: int = EVERY, names: Iterable[str] | None = None) -> None:
        if isinstance(interval, bool) or not isinstance(interval, int) or interval < 0:
            raise NormRegError(f"interval={interval!r}: must be a whole number of updates, or 0 for no monitor")
        self._interval, self._names = interval, names
        self._watches: list[_Watch] = []

    @property
    def monitors(self) -> list[Monitor]:
        """One for each optimizer."""
        return [watch.monitor for watch in self._watches]

    def before_run(self, runner: Runner) -> None:
        """Runs before a checkpoint is loaded, so that the monitor goes on counting where the checkpoint stopped."""
        if self._watches or not self._interval:
            return  # a runner that has trained and runs again
        if sum(isinstance(hook, NormRegMonitorHook) for hook in runner.hooks) > 1:
            raise NormRegError("several monitor hooks would write one file: keep one, in default_hooks or custom_hooks")
        for name, wrapper in named_wrappers(runner).items():
            if isinstance(wrapper.optimizer, Optimizer):
                sink = JsonLinesSink(run_file(runner.work_dir, name)) if is_main_process() else None
                monitor = start_monitor(wrapper.optimizer, bare_model(runner), self._interval, self._names, sink)
                self._watches.append(_Watch(name, wrapper, monitor, sink))

    def before_train(self, runner: Runner) -> None:
        """Runs after a checkpoint was loaded. One of a run without a monitor holds no count."""
        for watch in self._watches:
            watch.monitor.suppose(runner.iter // watch.wrapper._accumulative_counts)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        for watch in self._watches:
            report = watch.monitor.last
            if report is watch.told or report is None:
                continue
            watch.told = report
            prefix = f"norms/{watch.name}/" if watch.name else "norms/"
            scalars = {**report.scalars(prefix), f"{prefix}updates": float(report.update)}
            runner.visualizer.add_scalars(_finite(scalars), step=runner.iter + 1)
            if watch.sink is not None:
                watch.sink.write(report.update, **_loss(runner, self._interval))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        for watch in self._watches:
            if watch.sink is not None and metrics:
                numbers = {key: float(value) for key, value in metrics.items() if isinstance(value, Real)}
                watch.sink.write(watch.monitor.updates, **numbers)


@HOOKS.register_module()
class NormLogHook(NormRegMonitorHook):
    """The name that NormRegMonitorHook had when it logged filter norms only. Configs that use it keep working."""


def _finite(scalars: dict[str, float]) -> dict[str, float]:
    """Without NaN, which means that a number does not exist; not every backend takes it."""
    return {key: value for key, value in scalars.items() if math.isfinite(value)}


def _loss(runner: Runner, iterations: int) -> dict[str, float]:
    """The mean loss of the latest iterations, if the model has a loss of that name."""
    logged = runner.message_hub.log_scalars.get(LOSS)
    return {} if logged is None else {"loss": float(logged.mean(iterations))}
