"""A method at work on an optimizer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.methods import Method, Scaled, Target
from normreg_plugins.core.model import is_zero
from normreg_plugins.core.training.averages import correct_average_
from normreg_plugins.core.training.confirmation import Confirmation
from normreg_plugins.core.training.filter_health import BrokenFilters, NormsAtStart, count_filters
from normreg_plugins.core.training.first_forward import FirstForward
from normreg_plugins.core.training.selection import Selection
from normreg_plugins.core.training.state import State, attached_to, forget, remember
from normreg_plugins.core.training.steps import PerEpoch, Phase, closure_of, is_nested, is_update, refuse_capture
from normreg_plugins.core.training.weight_decay import DecayOutOfStep, WeightDecayOff, spared_from_decay
from normreg_plugins.core.verdicts import Forward, Verdicts

logger = logging.getLogger("normreg_plugins")


class Handle:
    """A method at work on an optimizer. Use it as a context manager to detach at the end of a block.

    Args:
        confirmation: None if a traced forward has chosen the weights.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        method: Method,
        selection: Selection,
        confirmation: Confirmation | None,
        updates_per_epoch: PerEpoch,
        schedulers: Sequence[Any],
    ) -> None:
        self.method = method
        self.left_alone = selection.left_alone
        """Each conv/linear weight that is no target, with the reason."""
        self._optimizer, self._model = optimizer, model
        self._reports, self._targets = selection.reports, selection.targets
        self._phase = Phase(method, updates_per_epoch)
        spared = spared_from_decay(model, method.decay_on, (target.weight for target in self._targets))
        self.undecayed = tuple(name for name, p in model.named_parameters() if id(p) in spared)
        """The names of the parameters whose weight decay is off."""
        self._decay = WeightDecayOff(optimizer, spared.values(), schedulers)
        self._out_of_step = DecayOutOfStep(optimizer) if method.decoupled or _decays_in_phase(method) else None
        self._state = State(optimizer, self._targets, method.state_keys)
        self._broken, self._norms_at_start = BrokenFilters(), NormsAtStart()
        self._callbacks: list[Callable[[Handle], None]] = []
        self._acts_before = type(method).before_update is not Method.before_update
        self._is_update = True
        """Whether the step now running is an update."""
        self._confirmation = confirmation
        self._first = FirstForward(model, self._first_forward, confirmation.first_forward if confirmation else None)
        if confirmation is None and type(method).start is Method.start:
            self._first.remove()
        self._hooks = [
            optimizer.register_step_pre_hook(torch.compiler.disable(self._before_step)),  # also in a compiled step
            optimizer.register_step_post_hook(torch.compiler.disable(self._after_step)),
        ]
        remember(optimizer, self)
        self._start()
        logger.info("%s acts on %d of %d conv/linear weights", method, len(self._targets), len(self._reports))

    @property
    def optimizer(self) -> Optimizer:
        return self._optimizer

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the weights it acts on."""
        return tuple(target.name for target in self._targets)

    @property
    def updates(self) -> int:
        """Parameter updates made so far, including those before a resume."""
        return self._state.updates

    @property
    def verdicts(self) -> Verdicts:
        """The verdict on every conv and linear weight."""
        return Verdicts(report.verdict for report in self._reports)

    @property
    def norms_at_start(self) -> dict[str, Tensor]:
        """The filter norms of each target before the method first acted; empty after a resume."""
        return dict(self._norms_at_start.norms)

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
            self._check(self.method.after_update(self._active(), self._rates))

    def detach(self) -> None:
        """Leaves a plain optimizer and a plain model; the weights stay as they are."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._first.remove()
        self._decay.restore()
        if forget(self._optimizer):
            self._state.remove()

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()

    def __repr__(self) -> str:
        return f"<{self.method!r} on {len(self._targets)} of {len(self._reports)} weights, {self.updates} updates>"

    def _active(self) -> list[Target]:
        """The targets that are not frozen now. A weight with `requires_grad=False` is never changed."""
        return [target for target in self._targets if target.weight.requires_grad]

    def _start(self) -> None:
        """At attach, and again before the first forward, because weights may be loaded in between. Not on resume."""
        if self.updates == 0:
            self._norms_at_start.measure_before(self._active())
            self._check(self.method.start(self._active()))
            self._norms_at_start.measure_after(self._active())
            self._state.write()

    def _first_forward(self) -> None:
        self._start()
        while self.updates == 0 and self._callbacks:
            self._callbacks.pop(0)(self)

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        if is_nested(optimizer):
            return None
        refuse_capture(self._targets[0].weight)
        closure = closure_of(args, kwargs)
        if closure is None:
            self._is_update = is_update(optimizer)
            if self._is_update:
                self._gradients_ready()
            return None
        # A closure computes the gradients inside the step, so the method must act right after it.
        self._is_update = True
        wrapped = _then_once(closure, self._gradients_ready)
        return (*args[:1], wrapped, *args[2:]), {key: value for key, value in kwargs.items() if key != "closure"}

    def _gradients_ready(self) -> None:
        if self._confirmation is not None and self._confirmation.before_update(self._optimizer):
            self._confirmation = None
        if self._acts_before and self._phase.contains(self._state.updates + 1):
            self._check(self.method.before_update(self._active(), self._rates))
        if self._out_of_step and (self.method.decoupled or not self._phase.contains(self._state.updates + 1)):
            self._out_of_step.before_step(beside=self.method.decoupled)

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not self._is_update or is_nested(optimizer):
            return
        if self._out_of_step:
            self._out_of_step.after_step()
        update = self._state.count()
        if update % self.method.interval == 0 and self._phase.contains(update):
            self._check(self.method.after_update(self._active(), self._rates))

    def _rates(self, key: str = "lr") -> list[Any]:
        """The learning rate of each active target, or another setting of its group."""
        by_weight = {id(p): group.get(key) for group in self._optimizer.param_groups for p in group["params"]}
        by_weight.update(self._decay.taken if key == "weight_decay" else {})
        return [by_weight[id(target.weight)] for target in self._active()]

    def _check(self, scaled: list[Scaled]) -> None:
        if scaled:
            self._broken.check(scaled)


def _decays_in_phase(method: Method) -> bool:
    return method.decay_in_phase and (method.begin > 0 or method.end is not None)


def handle_of(optimizer: Optimizer) -> Handle | None:
    """The handle of the method that is attached to an optimizer."""
    return attached_to(optimizer)


def _then_once(closure: Callable[[], Any], after: Callable[[], None]) -> Callable[[], Any]:
    """`closure`, followed by `after` the first time it is called."""
    done = False

    def both() -> Any:
        nonlocal done
        loss = closure()
        if not done:
            done = True
            with torch.no_grad():
                after()
        return loss

    return both
