"""An EMA hook whose average has running statistics that fit it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn

from normreg_plugins.core import Kind
from normreg_plugins.core.model import has_running_statistics, training_mode
from normreg_plugins.core.training import match_norms_, measuring_statistics
from normreg_plugins.hosts.mmengine.method_hook import handles_of

SLOWEST_RATE = 0.1
"""The smallest weight of a new batch in the statistics of the average: the default momentum of batch norms."""
GROWS_EVERY = 50
"""Statistics are measured at every iteration at first; the interval grows by 1 every so many iterations."""


@HOOKS.register_module()
class NormRegEMAHook(EMAHook):
    """mmengine's EMAHook, with running statistics that fit the average where a method is attached.

    The mean of filters of one norm has a smaller norm, so its outputs have less variance, and the running statistics of
    the trained model do not fit it. This hook measures statistics for the average on training batches. The averaged
    weights are mmengine's, except filters that no norm layer follows (before scale-bias layers): these get their norm
    in the trained model. Without a method it is mmengine's hook.

    Args:
        statistics_interval: every so many iterations a batch runs forward through the average; with 0 it has
            mmengine's statistics.
    """

    def __init__(self, *args: Any, statistics_interval: int = 10, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._interval = statistics_interval

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        norms = self._norms_to_measure(runner)
        own = [(statistic, statistic.clone()) for norm in norms for statistic in _statistics(norm)]
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        self._match_free_norms(runner)
        for statistic, value in own:
            statistic.copy_(value)
        iteration = runner.iter + 1
        if norms and iteration % max(1, min(self._interval, iteration // GROWS_EVERY)) == 0:
            self._measure(runner, norms, data_batch, max(SLOWEST_RATE, 1 / iteration))

    def _norms_to_measure(self, runner: Runner) -> list[nn.Module]:
        """The norm layers of the average that would follow their batches in training; frozen ones would not."""
        if not self._interval or not self._ema_started(runner) or not any(handles_of(runner)):
            return []
        theirs = dict(self.src_model.named_modules())
        norms = [(name, m) for name, m in self.ema_model.module.named_modules() if has_running_statistics(m)]
        return [norm for name, norm in norms if theirs[name].training]

    def _match_free_norms(self, runner: Runner) -> None:
        """Match the filters that no norm layer follows."""
        for handle in handles_of(runner):
            free = {verdict.name for verdict in handle.verdicts.of(Kind.FREE)}
            match_norms_(self.ema_model.module, self.src_model, free.intersection(handle.targets))

    @torch.no_grad()
    def _measure(self, runner: Runner, norms: list[nn.Module], data_batch: Any, rate: float) -> None:
        """Run one batch forward through the average, as in training; its norm layers follow it at this rate."""
        average = self.ema_model.module
        with training_mode(average), measuring_statistics(norms, rate), _precision(runner, average):
            average._run_forward(average.data_preprocessor(data_batch, True), mode="loss")

    def _swap_ema_parameters(self) -> None:
        """Swap the statistics too: mmengine does so only if it averages them."""
        super()._swap_ema_parameters()
        if self.ema_model.update_buffers:
            return
        theirs = dict(self.src_model.named_modules())
        for name, norm in self.ema_model.module.named_modules():
            if has_running_statistics(norm):
                for one, other in zip(_statistics(norm), _statistics(theirs[name])):
                    before = one.clone()
                    one.copy_(other)
                    other.copy_(before)


def _statistics(norm: nn.Module) -> tuple[Tensor, Tensor]:
    return norm.running_mean, norm.running_var  # type: ignore[return-value]


def _precision(runner: Runner, model: nn.Module) -> AbstractContextManager:
    """The precision of the training forward."""
    wrapper = runner.optim_wrapper
    return nullcontext() if isinstance(wrapper, OptimWrapperDict) else wrapper.optim_context(model)
