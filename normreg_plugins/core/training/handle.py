"""A method at work on an optimizer."""

from __future__ import annotations

import logging
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.errors import TrainingLoopWarning
from normreg_plugins.core.methods import Method, Rates, Scaled, Target
from normreg_plugins.core.model import is_sharded, is_zero
from normreg_plugins.core.training.averages import correct_average_
from normreg_plugins.core.training.confirmation import Confirmation
from normreg_plugins.core.training.filter_health import BrokenFilters, count_filters
from normreg_plugins.core.training.first_forward import FirstForward
from normreg_plugins.core.training.replaced import refuse_replaced, warn_of_added
from normreg_plugins.core.training.selection import Selection
from normreg_plugins.core.training.starts import Starts
from normreg_plugins.core.training.state import State, attached_to, forget, remember
from normreg_plugins.core.training.steps import (
    DecayInStep,
    PerEpoch,
    Phase,
    closure_of,
    is_nested,
    is_update,
    refuse_capture,
    then_once,
)
from normreg_plugins.core.training.weight_decay import spared_from_decay
from normreg_plugins.core.verdicts import Forward, Verdicts, WeightReport

logger = logging.getLogger("normreg_plugins")


class Handle:
    """A method at work on an optimizer. Use it as a context manager to detach at the end of a block."""

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        method: Method,
        selection: Selection,
        confirmation: Confirmation,
        updates_per_epoch: PerEpoch,
    ) -> None:
        self.optimizer, self.method, self._model = optimizer, method, model
        reports, self._targets, self._left_alone = selection
        self.verdicts = Verdicts(report.verdict for report in reports)
        """The verdict on every conv and linear weight."""
        self._phase = Phase(method, updates_per_epoch)
        spared = spared_from_decay(model, method.decay_on, (target.weight for target in self._targets))
        self.undecayed = tuple(name for name, p in model.named_parameters() if id(p) in spared)
        """The names of the parameters whose weight decay is off, whatever their parameter group says."""
        self._decay = DecayInStep(optimizer, spared)
        self._state = State(optimizer, self._targets, method)
        self._parts = self._parts_now()
        self._broken = BrokenFilters()
        self._starts = Starts(optimizer, self._targets, method, self._broken.check)
        self._callbacks: list[Callable[[Handle], None]] = []
        self._acts_before = type(method).before_update is not Method.before_update
        self._acts_after = type(method).after_update is not Method.after_update
        self._is_update = True
        """Whether the step now running is an update."""
        self._confirmation: Confirmation | None = confirmation
        traced = self._confirm if confirmation.waits_for_forward else None
        self._first = FirstForward(model, self._first_forward, traced, confirmation.inputs)
        self._hooks = [
            optimizer.register_step_pre_hook(torch.compiler.disable(self._before_step)),  # also in a compiled step
            optimizer.register_step_post_hook(torch.compiler.disable(self._after_step)),
            optimizer.register_state_dict_pre_hook(lambda _: self._decay.after_step()),  # of a step that failed
        ]
        remember(optimizer, self)
        self._starts.at_attach(resumed=self.updates > 0)
        self._state.write()
        logger.debug("%s acts on %d of %d conv/linear weights", method, len(self.targets), len(self.verdicts))

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the weights it acts on. Frozen weights join them when they are unfrozen."""
        return tuple(target.name for target in self._targets if target.started)

    @property
    def left_alone(self) -> dict[str, str]:
        """Each conv/linear weight that is no target now, with the reason."""
        return {**self._left_alone, **self._starts.waiting()}

    @property
    def updates(self) -> int:
        """Parameter updates made so far, including those before a resume."""
        return self._state.updates

    @property
    def norms_at_start(self) -> dict[str, Tensor]:
        """The filter norms of each target before the method first acted; empty after a resume."""
        return dict(self._starts.norms)

    @property
    def changes_at_start(self) -> dict[str, Tensor]:
        """For each filter ||w' - w|| / ||w||, where w' is what the method first makes of it; empty after a resume.

        Only of targets on which the network may see that: because its scale is seen, or because the method turns it.
        """
        return dict(self._starts.changes)

    def on_first_forward(self, callback: Callable[[Handle], None]) -> None:
        """Calls `callback(handle)` once, just before the first training forward of a new run. Not called on resume.

        Pretrained weights are loaded by then.
        """
        self._callbacks.append(callback)

    @property
    def zero_filters(self) -> dict[str, int]:
        """How many filters of each target are zero now, where any are. They stay as they are."""
        return count_filters(self._targets, is_zero)

    @property
    def broken_filters(self) -> dict[str, int]:
        """How many filters of each target contain NaN or Inf now, where any do. They stay as they are."""
        return count_filters(self._targets, lambda norms: ~norms.isfinite())

    def correct_average(self, averaged: nn.Module, forwards: Iterable[Forward] = ()) -> None:
        """Gives an averaged copy of the model matching filter norms and running statistics: see `correct_average_`."""
        correct_average_(averaged, self._model, self.targets, forwards)

    def reapply(self) -> None:
        """Applies the method's constraint again after something else changed the weights.

        A host needs this on resume if its checkpoints round weights to half precision, or hold their average.
        """
        for target in self._targets:
            target.scratch.clear()  # left by a step that was skipped
        if self._phase.contains(max(1, self.updates)):
            self._act(self.method.after_update)

    @property
    def never_acted(self) -> str:
        """Why it has not acted in any update so far; '' if it has, or if there was no update."""
        if not (self.updates and (self._acts_before or self._acts_after)):
            return ""
        if not self.targets:
            return f"{self.method!r} never acted: its weights stayed frozen through all {self.updates} updates"
        first = self._phase.first(self.method.interval)
        if first is not None and first <= self.updates:
            return ""
        due = "its phase has no multiple of its interval" if first is None else f"the first in which it acts is {first}"
        return f"{self.method!r} never acted: {self.updates} updates were made, and {due}"

    def detach(self) -> None:
        """Leaves a plain optimizer and a plain model; the weights stay as they are, and the next attach counts on."""
        if self._hooks and self.never_acted:
            warnings.warn(self.never_acted, TrainingLoopWarning, stacklevel=2)
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._first.remove()
        self._decay.after_step()
        if forget(self.optimizer):
            self._state.remove()

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()

    def __repr__(self) -> str:
        return f"<{self.method!r} on {len(self.targets)} of {len(self.verdicts)} weights, {self.updates} updates>"

    def _active(self) -> list[Target]:
        """The targets to act on. A weight with `requires_grad=False` is never changed."""
        return [target for target in self._targets if target.started and target.weight.requires_grad]

    def _first_forward(self) -> None:
        if self.updates == 0:
            self._starts.again()
            self._state.write()
        while self.updates == 0 and self._callbacks:
            self._callbacks.pop(0)(self)

    def _confirm(self, traced: list[WeightReport]) -> None:
        """After the first forward."""
        assert self._confirmation is not None
        for target, why in self._confirmation.first_forward(traced).items():
            self._targets.remove(target)
            self._left_alone[target.name] = why
        self._parts = self._parts_now()

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        if is_nested(optimizer):
            return None
        refuse_capture(next(p for group in optimizer.param_groups for p in group["params"]))  # a group may be empty
        closure = closure_of(args, kwargs)
        if closure is None:
            self._is_update = is_update(optimizer)
            if self._is_update:
                self._gradients_ready()
            else:
                self._decay.before_step(beside=False, off=self.method.decoupled)
            return None
        # A closure computes the gradients inside the step, so the method must act right after it.
        self._is_update = True
        wrapped = then_once(closure, self._gradients_ready)
        return (*args[:1], wrapped, *args[2:]), {key: value for key, value in kwargs.items() if key != "closure"}

    def _gradients_ready(self) -> None:
        update = self._state.updates + 1
        if update == 1 and self._starts.are_written_to():
            self._first_forward()  # which is not seen if the model is compiled
        if not all(target.started for target in self._targets):
            self._starts.late(update)
            self._state.write()
        if self._confirmation is not None:
            if self._confirmation.before_update():
                self._confirmation = None
            if self._confirmation is None or self._state.updates:
                self._first.stop_measuring()
        if self._acts_in(update) or update == 1:
            parts = self._parts_now()
            if len(parts) != len(self._parts) or not all(map(operator.is_, parts, self._parts)):
                refuse_replaced(self._model, self._targets)
                self._parts = parts  # a module around them, as a compiled one
                warn_of_added(self._model, self.optimizer, self.method, self._targets, self._left_alone)
        if self._acts_before and self._phase.contains(update):
            self._act(self.method.before_update)
        off = self.method.decay_in_phase and not self._phase.contains(update)
        self._decay.before_step(beside=self.method.decoupled, off=off)

    def _parts_now(self) -> list[Any]:
        """All modules, and the weights where the model has them; FSDP2 puts gathered tensors in the place of shards."""
        weights = (t.layer.module._parameters.get("weight") for t in self._targets if not is_sharded(t.weight))
        return [*self._model.modules(), *weights]

    def _acts_in(self, update: int) -> bool:
        """Whether it acts before or after this update."""
        return (self._acts_before or update % self.method.interval == 0) and self._phase.contains(update)

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if is_nested(optimizer):
            return
        self._decay.after_step()
        if not self._is_update:
            return
        update = self._state.count()
        if update % self.method.interval == 0 and self._phase.contains(update):
            self._act(self.method.after_update)

    def _act(self, on: Callable[[Sequence[Target], Rates], list[Scaled]]) -> None:
        targets = self._active()
        if targets:
            self._broken.check(on(targets, self._rates))

    def _rates(self, key: str = "lr") -> list[Any]:
        """The learning rate of each active target, or another setting of its group."""
        by_weight = {id(p): group.get(key) for group in self.optimizer.param_groups for p in group["params"]}
        return [by_weight[id(target.weight)] for target in self._active()]


def handle_of(optimizer: Optimizer) -> Handle | None:
    """The handle of the method that is attached to an optimizer."""
    return attached_to(optimizer)
