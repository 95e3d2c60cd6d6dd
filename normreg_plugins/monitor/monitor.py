"""See what training does to filters, while it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.training import closure_of, handle_of, keep_step_hooks, moves_nothing
from normreg_plugins.monitor.applied import applied_norm, has_plain_momentum, rate_law, whole_norm
from normreg_plugins.monitor.drift import Drift, RunningStatistics
from normreg_plugins.monitor.measure import Change, Sums, sums_of
from normreg_plugins.monitor.report import Report, Row, effective_gradient_norm, row_of, total
from normreg_plugins.monitor.updates import UpdateCount
from normreg_plugins.monitor.watched import Watched, watch

Sink = Callable[[Report], Any]

SMOOTHING = 0.6
"""The weight of the past in the smoothed effective gradient norm (WRS paper, Section III-B, b)."""


class Monitor:
    """Reports filter norms, gradient norms, effective rates and rotation every so many updates.

        with Monitor(optimizer, model, every=50, sinks=[JsonLinesSink(Path("run.jsonl"))]):
            train()

    It works with and without a method on the optimizer, attached before it or after, and sees the weights as the method
    left them. It changes nothing: training is the same bit by bit.

    Between reports it only counts. A reported update copies the watched weights once, for the time of the update, and
    moves all numbers to the host in one transfer. With sharded weights (FSDP2) it sees this process's filters.

    Make it before a checkpoint is loaded into the optimizer: the optimizer's `state_dict` carries the count of updates
    and the smoothed averages. torch's distributed checkpoints carry the count of a method only.

    Args:
        every: updates between two reports.
        names: weights as in `named_parameters()`. Without names it watches every weight of the optimizer whose scale
            the network cannot see, and the weights that the attached method acts on.
        sinks: what is called with each `Report`.
        updates: updates made before, if neither a checkpoint of the optimizer nor a method knows.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        every: int = 50,
        names: Iterable[str] | None = None,
        *,
        sinks: Sequence[Sink] = (),
        updates: int = 0,
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise NormRegError(f"every={every!r}: must be a whole number of updates, 1 or more")
        self.last: Report | None = None
        """The latest report."""
        self._optimizer = optimizer
        self._every = every
        self._sinks = tuple(sinks)
        self._watched = watch(optimizer, model, names)
        self._statistics = RunningStatistics(model)
        self._count = UpdateCount(optimizer, updates)
        self._copies: list[Tensor] = []
        self._idle = False
        """Whether the step now running moves nothing, and so is no update."""
        keep_step_hooks(optimizer)
        self._before_hook = optimizer.register_step_pre_hook(torch.compiler.disable(self._before_step))
        self._go_last()

    @property
    def names(self) -> tuple[str, ...]:
        """The weights it watches."""
        return tuple(each.name for each in self._watched)

    @property
    def updates(self) -> int:
        """Updates made so far, those before a resume included."""
        return self._count.now()

    def suppose(self, updates: int) -> None:
        """So many updates were made before, if neither a checkpoint of the optimizer nor a method knows."""
        self._count.suppose(updates)

    def detach(self) -> None:
        """Leave the optimizer as if the monitor had never been there."""
        self._before_hook.remove()
        self._after_hook.remove()
        self._copies = []
        self._count.forget()
        self._statistics.forget()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()

    def _go_last(self) -> None:
        """Post hooks run in the order of their registration, so this puts ours behind the method's."""
        self._behind = handle_of(self._optimizer)
        self._after_hook = self._optimizer.register_step_post_hook(torch.compiler.disable(self._after_step))

    @torch.no_grad()
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._copies = []
        self._idle = closure_of(args, kwargs) is None and moves_nothing(optimizer)
        if self._idle:
            return
        self._count.start()
        if self._count.may_reach(self._every):
            self._copies = [each.weight.clone() for each in self._watched]
            if handle_of(optimizer) is not self._behind:  # a method was attached since
                self._after_hook.remove()
                self._go_last()

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._idle:
            return
        self._count.tick()
        if self._copies:
            self._look(optimizer)

    @torch.no_grad()
    def _look(self, optimizer: Optimizer) -> None:
        groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        sums = [self._sums(each, before, groups) for each, before in zip(self._watched, self._copies)]
        drifts = self._statistics.drift()
        self._copies = []
        flags, sum_rows, drift_rows = _to_host([list(self._count.unread), sums, drifts])
        update, happened = self._count.settle([flag for (flag,) in flags])
        if not happened or update % self._every:
            return  # the device skipped this update, or one before it
        self._statistics.keep()
        self._tell(update, [Sums(*row) for row in sum_rows], [Drift(*row) for row in drift_rows])

    def _sums(self, each: Watched, before: Tensor, groups: dict[int, Any]) -> Tensor:
        group = groups.get(id(each.parameter), {})
        gradient = each.gradient
        found = applied = None
        if gradient is not None:
            found = whole_norm(gradient)
            applied = applied_norm(group, each.state(self._optimizer), gradient, found, before)
        return sums_of(each.filters, Change(before, each.weight, found, applied, group.get("lr", float("nan"))))

    def _tell(self, update: int, layers: list[Sums], drifts: list[Drift]) -> None:
        smooths = has_plain_momentum(self._optimizer)
        report = Report(
            update,
            self._count.since,
            rate_law(self._optimizer),
            {each.name: self._row(each.name, sums, smooths) for each, sums in zip(self._watched, layers)},
            self._row("", total(layers), smooths),
            dict(zip(self._statistics.names, drifts)),
        )
        self.last = report
        for sink in self._sinks:
            sink(report)

    def _row(self, name: str, sums: Sums, smooths: bool) -> Row:
        if not smooths:
            return row_of(sums)
        now = effective_gradient_norm(sums)
        smoothed = self._count.memory  # so that a resumed run goes on with the average it had
        smoothed[name] = SMOOTHING * smoothed.get(name, now) + (1 - SMOOTHING) * now
        return row_of(sums, smoothed[name])


def _to_host(lists: list[list[Tensor]]) -> list[list[list[float]]]:
    """The values of small tensors, in the same arrangement, by one transfer from the device."""
    tensors = [tensor for each in lists for tensor in each]
    wide = torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32
    device = lists[1][0].device
    values = iter(torch.cat([t.reshape(-1).to(device, wide) for t in tensors]).tolist())
    return [[list(islice(values, tensor.numel())) for tensor in each] for each in lists]
