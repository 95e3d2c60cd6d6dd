"""Averages that are correct networks when they are evaluated and saved."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import EMAHook as MMEngineEMAHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from normreg_plugins.hosts.mmengine.hooks import handles_of

RAW_AVERAGE = "normreg_raw_average"
"""The key of a checkpoint that holds the average as it goes on, where it differs from what is evaluated."""


@HOOKS.register_module(name="EMAHook", force=True)
class EMAHook(MMEngineEMAHook):
    """mmengine's EMAHook under its own name, whose average is a correct network where a method is attached.

    The mean of filters of one length is shorter than they are, while its running statistics are those of the trained
    model. So while the average is evaluated, and in what is saved, its filters have the length they have in the trained
    model. The average itself goes on as it is: neither evaluating nor saving changes it. Without a method nothing
    differs from mmengine.
    """

    _raw: dict[str, Tensor]

    def before_val_epoch(self, runner: Runner) -> None:
        self._correct(runner)
        super().before_val_epoch(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        super().after_val_epoch(runner, metrics)
        self._restore()

    def before_test_epoch(self, runner: Runner) -> None:
        self._correct(runner)
        super().before_test_epoch(runner)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        super().after_test_epoch(runner, metrics)
        self._restore()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        self._correct(runner)
        super().before_save_checkpoint(runner, checkpoint)  # now its 'state_dict' is the average, by reference
        saved = checkpoint["state_dict"]
        for name in self._raw:
            saved[name] = saved[name].to("cpu", copy=True)
        changed = {name: raw.cpu() for name, raw in self._raw.items() if not torch.equal(raw.cpu(), saved[name])}
        if changed:
            checkpoint[RAW_AVERAGE] = changed
        self._restore()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        super().after_load_checkpoint(runner, checkpoint)
        if runner._resume:
            self._load(checkpoint.get(RAW_AVERAGE, {}))

    def _correct(self, runner: Runner) -> None:
        """Make the average a correct network, and keep it as it was."""
        handles = list(handles_of(runner))
        average = self.ema_model.module
        self._raw = {name: value.clone() for name, value in average.state_dict().items()} if handles else {}
        for handle in handles:
            handle.correct_average(average)

    def _restore(self) -> None:
        self._load(self._raw)
        self._raw = {}

    @torch.no_grad()
    def _load(self, values: dict[str, Tensor]) -> None:
        own = self.ema_model.module.state_dict()
        for name, value in values.items():
            own[name].copy_(value)
