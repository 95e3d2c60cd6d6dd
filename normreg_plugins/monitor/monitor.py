"""See what training does to filters, while it trains."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core import WeightDecay
from normreg_plugins.core.model import has_running_statistics
from normreg_plugins.core.options import is_count, require
from normreg_plugins.core.training import closure_of, handle_of, is_nested, is_update, keep_step_hooks
from normreg_plugins.monitor.measure import Change, Numbers, numbers_of
from normreg_plugins.monitor.optimizer_direction import applied_norm, equilibrium_angle, layer_norm, rate_law
from normreg_plugins.monitor.report import Report, row_of
from normreg_plugins.monitor.warn import Log, Warnings
from normreg_plugins.monitor.weights import MonitoredWeight, monitored_weights

Sink = Callable[[Report], Any]

logger = logging.getLogger("normreg_plugins")
EVERY = 50
"""The default number of updates between two reports."""


class Monitor:
    """Reports filter norms, gradient norms, effective rates and rotation every so many updates.

        with Monitor(optimizer, model, every=50, sinks=[JsonLinesSink(Path("run.jsonl"))]):
            train()

    It works with and without a method on the optimizer, attached before it or after, and sees the weights as the method
    left them. It changes nothing: training is the same bit by bit.

    Between reports it only counts. A reported update copies the monitored weights once, for the time of the update, and
    moves all numbers to the host in one transfer. With sharded weights (FSDP2) it sees this process's filters.

    On resume it continues at the update count of the attached method. Without a method, give the count as `updates` or
    to `suppose`: a monitor saves nothing in checkpoints.

    Args:
        every: updates between two reports.
        names: weights as in `named_parameters()`. Default: every weight of the optimizer whose scale the network cannot
            see, and the weights that the attached method acts on. If there are none, as in a baseline without norm
            layers: all weights of conv and linear layers.
        sinks: called with each `Report`.
        warn: called with a sentence, once for each kind, if filters are zero or broken, an entry comes near the end of
            half precision, or a layer turns ten times as fast as the median; and by `finish`. None for no warnings.
        updates: updates made before, if no method counts them.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        every: int = EVERY,
        names: Iterable[str] | None = None,
        *,
        sinks: Sequence[Sink] = (),
        warn: Log | None = logger.warning,
        updates: int = 0,
    ) -> None:
        require(is_count(every, 1), "every", every, "a whole number of updates, 1 or more")
        self.last: Report | None = None
        """The latest report."""
        self._optimizer = optimizer
        self._every = every
        self._warnings = None if warn is None else Warnings(warn)
        self._sinks: tuple[Sink, ...] = (*sinks, *([self._warnings] if self._warnings else []))
        self._weights = monitored_weights(optimizer, model, names)
        self._norms: dict[str, Any] = {n: m for n, m in model.named_modules() if has_running_statistics(m)}
        self._count = UpdateCount(optimizer, updates)
        self._copies: list[Tensor] = []
        keep_step_hooks(optimizer)
        self._before_hook = optimizer.register_step_pre_hook(torch.compiler.disable(self._before_step))
        self._go_last()

    @property
    def names(self) -> tuple[str, ...]:
        """The monitored weights."""
        return tuple(each.name for each in self._weights)

    @property
    def updates(self) -> int:
        """Updates made so far, including those before a resume."""
        return self._count.now()

    def suppose(self, updates: int) -> None:
        """Continue at this count, after a checkpoint was loaded. No-op if a method counts."""
        self._count.suppose(updates)

    def finish(self) -> None:
        """Training has ended: warn if filter norms are far from the equilibrium of learning rate and weight decay."""
        if self._warnings is not None:
            self._warnings.finish()

    def detach(self) -> None:
        """Leave the optimizer as if the monitor had never been there."""
        self._before_hook.remove()
        self._after_hook.remove()
        self._copies = []

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, error: type[BaseException] | None, *details: object) -> None:
        if error is None:
            self.finish()
        self.detach()

    def _go_last(self) -> None:
        """Post hooks run in the order of their registration, so this puts ours behind the method's."""
        self._behind = handle_of(self._optimizer)
        self._after_hook = self._optimizer.register_step_post_hook(torch.compiler.disable(self._after_step))

    @torch.no_grad()
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if is_nested(optimizer):
            return
        self._copies = []
        if (self._count.before_step(args, kwargs) + 1) % self._every == 0:
            self._copies = [each.weight.clone() for each in self._weights]
            if handle_of(optimizer) is not self._behind:  # a method was attached since
                self._after_hook.remove()
                self._go_last()

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if is_nested(optimizer):
            return
        copies, self._copies = self._copies, []
        if not self._count.after_step() or not copies:
            return
        groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        controlled = _with_norms_set(optimizer)
        variances = [norm.running_var.max() for norm in self._norms.values()]
        numbers = [self._numbers(each, before, groups, controlled) for each, before in zip(self._weights, copies)]
        *rows, found = _to_host([*numbers, variances])
        layers = [Numbers(*row) for row in rows]
        report = Report(
            self._count.made,
            self._count.since,
            rate_law(optimizer),
            {each.name: row_of([layer]) for each, layer in zip(self._weights, layers)},
            row_of(layers),
            dict(zip(self._norms, torch.cat(found).tolist() if found else ())),
        )
        self.last = report
        for sink in self._sinks:
            sink(report)

    def _numbers(
        self, each: MonitoredWeight, before: Tensor, groups: dict[int, Any], controlled: Sequence[str]
    ) -> Numbers:
        group, handle = groups.get(id(each.parameter), {}), handle_of(self._optimizer)
        if handle is not None and each.name in handle.undecayed:
            group = {**group, "weight_decay": 0.0}
        gradient = each.gradient
        norm = applied = None
        if gradient is not None:
            norm = layer_norm(gradient)
            applied = applied_norm(group, each.state(self._optimizer), norm)
        expected = None if each.name in controlled else equilibrium_angle(self._optimizer, group)
        rate = group.get("lr", math.nan)
        return numbers_of(each.filters, Change(before, each.weight, norm, applied, rate, expected, each.standardized))


def _with_norms_set(optimizer: Optimizer) -> Sequence[str]:
    """The weights whose norms follow a method instead of weight decay."""
    handle = handle_of(optimizer)
    return () if handle is None or isinstance(handle.method, WeightDecay) else handle.targets


class UpdateCount:
    """The updates of an optimizer, by the count of its method if one is attached at the first step.

    It saves nothing: torch's distributed checkpoints fail on a key that the checkpoint lacks, so runs saved without a
    monitor could not resume with one.
    """

    def __init__(self, optimizer: Optimizer, updates: int) -> None:
        self._optimizer = optimizer
        self.made = self.since = updates
        """Updates made so far, and when this run began or was resumed."""
        self._started = self._happens = False
        self._handle = handle_of(optimizer)

    def now(self) -> int:
        attached = handle_of(self._optimizer)
        if not self._started:
            self._handle = attached
        return self.made if attached is None or attached is not self._handle else attached.updates

    def suppose(self, updates: int) -> None:
        self.made = self.since = updates

    def before_step(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        """Prepare for the step, and return the updates made before it."""
        now = self.now()
        self._happens = closure_of(args, kwargs) is not None or is_update(self._optimizer)
        if self._happens and (not self._started or now != self.made):  # a new run, or a checkpoint was loaded
            self._started, self.made, self.since = True, now, now
        return now

    def after_step(self) -> bool:
        """Count the step. False if it was no update: it moved nothing, or a fused optimizer skipped it."""
        self.made += self._happens
        return self._happens


def _to_host(lists: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """The tensors in the same arrangement, each as a row of float64, by one transfer from the device."""
    tensors = [tensor for each in lists for tensor in each]
    wide = torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32
    flat = torch.cat([t.reshape(-1).to(lists[0][0].device, wide) for t in tensors]).cpu().double()
    values = iter(flat.split([t.numel() for t in tensors]))
    return [list(islice(values, len(each))) for each in lists]
