"""When a method starts to act on a weight: at attach, again before the first forward, or once it is unfrozen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.methods import Method, Scaled, Target
from normreg_plugins.core.model import local, safe_factors
from normreg_plugins.core.training.selection import held_by, waits_for
from normreg_plugins.core.verdicts import Kind

logger = logging.getLogger("normreg_plugins")


class Starts:
    """Starts a method on its targets, and measures their filters before that.

    Args:
        check: gets what the method scaled.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        targets: Sequence[Target],
        method: Method,
        check: Callable[[list[Scaled]], None],
    ) -> None:
        self._optimizer, self._targets, self._method, self._check = optimizer, targets, method, check
        self.norms: dict[str, Tensor] = {}
        """The filter norms of each target before the method first acted."""
        self.changes: dict[str, Tensor] = {}
        """How far the method changes each filter when it first acts, where the network sees that."""
        self._versions: dict[str, int] = {}

    def waiting(self) -> dict[str, str]:
        """Each target that is not started, and why."""
        held = held_by(self._optimizer)
        return {target.name: waits_for(target.weight, held) for target in self._targets if not target.started}

    def at_attach(self, resumed: bool) -> None:
        self._start([target for target in self._trained() if not (resumed and target.started)], measured=not resumed)

    def again(self) -> None:
        """Before the first forward of a new run: weights may have been loaded since attach."""
        for target in self._targets:
            target.started = False
            target.state.clear()
        self._start(self._trained(), measured=True)

    def are_written_to(self) -> bool:
        """Whether a weight was changed since the method started on it."""
        return any(target.started and self._changed(target) for target in self._targets)

    def late(self, update: int) -> None:
        """Starts what was unfrozen, or added to the optimizer, since the last update."""
        late = [target for target in self._trained() if not target.started]
        if not late:
            return
        if self._method.state_keys:  # other methods act after this update, as on the rest
            self._start(late, measured=update == 1)
        for target in late:
            target.started = True
        names = ", ".join(target.name for target in late)
        logger.info("%r takes %s from update %d on", self._method, names, update)

    def _trained(self) -> list[Target]:
        held = held_by(self._optimizer)
        return [target for target in self._targets if not waits_for(target.weight, held)]

    def _start(self, targets: list[Target], measured: bool) -> None:
        for target in targets if measured else ():
            if self._changed(target) and not target.weight.is_meta:
                self._measure(target)
        if targets:
            self._check(self._method.start(targets))
        for target in targets:
            target.started = True
            self._versions[target.name] = target.weight._version

    def _changed(self, target: Target) -> bool:
        return self._versions.get(target.name) != target.weight._version

    @torch.no_grad()
    def _measure(self, target: Target) -> None:
        self.norms[target.name] = _on_host(target.filters.norms(target.weight))
        if not self._method.keeps_directions or _scale_is_seen(target):
            self.changes[target.name] = _change(target, self._method)


def _on_host(values: Tensor) -> Tensor:
    return local(values).flatten().cpu()  # to free the GPU's memory


def _scale_is_seen(target: Target) -> bool:
    return target.report.kind in (Kind.FREE, Kind.UNSAFE)


def _change(target: Target, method: Method) -> Tensor:
    """||w' - w|| / ||w|| for each filter; of directions, if its scale is not seen. w' comes from a try on a copy."""
    weight = target.weight.detach()
    layer = replace(target.layer, weight=nn.Parameter(weight.clone()))
    copy = replace(target, report=replace(target.report, layer=layer, readers=()), state={**target.state}, scratch={})
    method.start([copy])
    method.after_update([copy], lambda key="lr": [{"lr": 0.0}.get(key)])
    before = target.filters.norms(weight)
    after = before if _scale_is_seen(target) else target.filters.norms(layer.weight)
    new, old = target.filters.view(layer.weight), target.filters.view(weight)
    moved = new * safe_factors(1.0, after) - old * safe_factors(1.0, before)
    return _on_host(torch.linalg.vector_norm(moved, dim=target.filters.dims))
