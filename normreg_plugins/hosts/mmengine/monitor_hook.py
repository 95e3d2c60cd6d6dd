"""A hook that reports what training does to filters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from normreg_plugins.core.errors import AttachError, NormRegError
from normreg_plugins.core.options import is_count, require
from normreg_plugins.hosts.mmengine.method_hook import bare, optimizers_of
from normreg_plugins.hosts.run_report import log_to
from normreg_plugins.monitor import EVERY, FILE, JsonLinesSink, Monitor, Report

LOSS = "train/loss"


@HOOKS.register_module()
class NormRegMonitorHook(Hook):
    """Reports filter norms, effective rates and rotation with `monitor.Monitor`, with a method or without one.

        default_hooks = dict(monitor=dict(type="NormRegMonitorHook", interval=50))

    The visualizer's backends get the numbers over all layers, under names that begin with `norms/`. `norms.jsonl` in
    the work dir gets them too, with those of each layer, the loss and the scores; tools/plot_norms.py draws it. A
    resumed run appends to that file. Warnings go to the log. Training is bit-identical. The configs of this project
    have the hook in default_hooks, as `monitor`; `default_hooks=dict(monitor=dict(interval=0))` switches it off.

    Args:
        interval: updates between two reports; 0 for no monitor.
        names: the weights to monitor; by default those that `Monitor` chooses.
    """

    priority = "BELOW_NORMAL"

    def __init__(self, interval: int = EVERY, names: Iterable[str] | None = None) -> None:
        require(is_count(interval, 0), "interval", interval, "a whole number of updates, or 0 for no monitor")
        self._interval, self._names = interval, names
        self.monitor: Monitor | None = None
        self._sink: JsonLinesSink | None = None
        self._logged: Report | None = None

    def before_run(self, runner: Runner) -> None:
        """Before a checkpoint is loaded, so that the monitor continues the count of the checkpoint."""
        if sum(isinstance(hook, NormRegMonitorHook) for hook in runner.hooks) > 1:
            raise NormRegError("several monitor hooks would write to one file: use one")
        optimizers = optimizers_of(runner)
        if self.monitor is not None or not self._interval or not optimizers:
            return  # a runner that has trained and runs again, or one that only tests
        if len(optimizers) > 1:
            raise AttachError("the monitor takes one optimizer: default_hooks=dict(monitor=dict(interval=0))")
        log_to(runner.logger)
        self._sink = JsonLinesSink(Path(runner.work_dir) / FILE) if is_main_process() else None
        sinks = [] if self._sink is None else [self._sink]
        self.monitor = Monitor(optimizers[0], bare(runner.model), self._interval, self._names, sinks=sinks)

    def before_train(self, runner: Runner) -> None:
        """After a checkpoint was loaded, which has no count if its run had no monitor."""
        if self.monitor is not None:
            self.monitor.suppose(runner.iter // runner.optim_wrapper._accumulative_counts)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        report = None if self.monitor is None else self.monitor.last
        if report is None or report is self._logged:
            return
        self._logged = report
        scalars = {**report.scalars("norms/"), "norms/updates": float(report.update)}
        runner.visualizer.add_scalars(_finite(scalars), step=runner.iter + 1)
        if self._sink is not None:
            self._sink.write(report.update, **_loss(runner, self._interval))

    def after_train(self, runner: Runner) -> None:
        if self.monitor is not None:
            self.monitor.finish()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        if self.monitor is not None and self._sink is not None and metrics:
            numbers = {key: float(value) for key, value in metrics.items() if isinstance(value, Real)}
            self._sink.write(self.monitor.updates, **numbers)


def _finite(scalars: dict[str, float]) -> dict[str, float]:
    """Without NaN (the number does not exist), which some backends refuse."""
    return {key: value for key, value in scalars.items() if math.isfinite(value)}


def _loss(runner: Runner, iterations: int) -> dict[str, float]:
    """The mean loss of the latest iterations, if the model has a loss of that name."""
    logged = runner.message_hub.log_scalars.get(LOSS)
    return {} if logged is None else {"loss": float(logged.mean(iterations))}
