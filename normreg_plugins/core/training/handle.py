"""A method at work on an optimizer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.methods import Method, Scaled, Target
from normreg_plugins.core.model import is_zero
from normreg_plugins.core.training.averages import correct_average_
from normreg_plugins.core.training.broken_filters import BrokenFilters
from normreg_plugins.core.training.compiled_steps import refuse_capture
from normreg_plugins.core.training.confirmation import Confirmation
from normreg_plugins.core.training.first_forward import FirstForward
from normreg_plugins.core.training.kept_values import KeptValues
from normreg_plugins.core.training.lost_hooks import attached_to, forget, remember
from normreg_plugins.core.training.norms_at_start import NormsAtStart
from normreg_plugins.core.training.phase import PerEpoch, Phase
from normreg_plugins.core.training.saved_entry import SavedEntry
from normreg_plugins.core.training.selection import Selection
from normreg_plugins.core.training.skipped_steps import closure_of, moves_nothing, skip_flag
from normreg_plugins.core.training.update_count import UpdateCount
from normreg_plugins.core.training.weight_decay import WeightDecayOff, spared_from_decay
from normreg_plugins.core.verdicts import Forward, Verdicts

logger = logging.getLogger("normreg_plugins")


class Handle:
    """A method at work on an optimizer. Use it as a context manager to detach at the end of a block."""

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
        """See `attach`. `confirmation` is None if a watched forward has chosen the weights."""
        self.method = method
        self.left_alone = selection.left_alone
        """Each conv/linear weight that is no target, with the reason."""
        self._optimizer, self._model = optimizer, model
        self._reports, self._targets = selection.reports, selection.targets
        self._phase = Phase(method, updates_per_epoch)
        self._broken = BrokenFilters()
        spared = spared_from_decay(model, method.decay_on, (target.weight for target in self._targets))
        self.undecayed = tuple(name for name, p in model.named_parameters() if id(p) in spared)
        """The names of the parameters whose weight decay is off."""
        self._decay = WeightDecayOff(optimizer, spared.values(), schedulers)
        self._saved = SavedEntry(optimizer, lambda: self._kept.saved())
        self._count = UpdateCount(optimizer)
        self._kept = KeptValues(optimizer, self._targets, method.keeps)
        self._begun_with = NormsAtStart()
        self._tell_at_start: list[Callable[[Handle], None]] = []
        self._idle = False
        """Whether the step now running moves nothing, and so is no update."""
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
        """Parameter updates made so far, those before a resume included."""
        return self._count.updates

    @property
    def verdicts(self) -> Verdicts:
        """What was found of every conv and linear weight."""
        return Verdicts(report.verdict for report in self._reports)

    @property
    def norms_at_start(self) -> dict[str, Tensor]:
        """The filter norms of each target before the method first acted; those of a new run, not of a resumed one."""
        return dict(self._begun_with.norms)

    def on_first_forward(self, tell: Callable[[Handle], None]) -> None:
        """Call `tell` before the first training forward, when weights are loaded; never in a run that is resumed."""
        self._tell_at_start.append(tell)

    @property
    def zero_filters(self) -> dict[str, int]:
        """How many filters of each target are zero now, where any are. They stay as they are."""
        return self._broken.count(self._targets, is_zero)

    @property
    def broken_filters(self) -> dict[str, int]:
        """How many filters of each target hold NaN or Inf now, where any do. They stay as they are."""
        return self._broken.count(self._targets, lambda norms: ~norms.isfinite())

    def correct_average(self, averaged: nn.Module, forwards: Iterable[Forward] = ()) -> None:
        """Give an averaged copy of the model filter norms and running statistics that fit: see `correct_average_`."""
        correct_average_(averaged, self._model, self.targets, forwards)

    def reapply(self) -> None:
        """Put the weights back where the method keeps them, after something else changed them.

        A host needs this on resume if its checkpoints round weights to half precision, or hold their average.
        """
        for target in self._targets:
            target.scratch.clear()  # left by a step that was skipped
        if self._phase.holds(max(1, self.updates)):
            self._look_at(self.method.after_update(self._active(), self._rates))

    def detach(self) -> None:
        """Leave a plain optimizer and a plain model; the weights stay as they are."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._first.remove()
        self._decay.restore()
        if forget(self._optimizer):
            self._kept.forget()
            self._count.forget()
            self._saved.forget()

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()

    def __repr__(self) -> str:
        return f"<{self.method!r} on {len(self._targets)} of {len(self._reports)} weights, {self.updates} updates>"

    @property
    def _sharded(self) -> bool:
        return any(hasattr(target.weight, "to_local") for target in self._targets)

    def _active(self) -> list[Target]:
        """The targets that are not frozen now. A weight with `requires_grad=False` is never changed."""
        return [t for t in self._targets if t.weight.requires_grad]

    def _start(self) -> None:
        """At attach, and again before the first forward, because weights may be loaded in between; not on resume."""
        if self.updates == 0:
            self._begun_with.before(self._active())
            self._look_at(self.method.start(self._active()))
            self._begun_with.after(self._active())

    def _first_forward(self) -> None:
        self._start()
        while self.updates == 0 and self._tell_at_start:
            self._tell_at_start.pop(0)(self)

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        refuse_capture(self._targets[0].weight)
        closure = closure_of(args, kwargs)
        self._idle = closure is None and moves_nothing(optimizer)
        if self._idle:
            return None
        if closure is None:
            self._gradients_ready()
            return None
        # A closure computes the gradients inside the step, so the method must act right after it.
        wrapped = _then_once(closure, self._gradients_ready)
        return (*args[:1], wrapped, *args[2:]), {key: value for key, value in kwargs.items() if key != "closure"}

    def _gradients_ready(self) -> None:
        if self._confirmation is not None:
            groups = self._optimizer.param_groups
            self._confirmation.before_update(lambda: [p for group in groups for p in group["params"]])
        if self._phase.always or self._count.next_is_in(self._phase.holds):
            self._look_at(self.method.before_update(self._active(), self._rates))

    def _rates(self) -> list[float | Tensor]:
        """The learning rate of each target, 0 where a fused optimizer will skip the step."""
        by_weight = {id(p): group["lr"] for group in self._optimizer.param_groups for p in group["params"]}
        rates = [by_weight[id(t.weight)] for t in self._active()]
        flag = skip_flag(self._optimizer)
        return rates if flag is None else [torch.where(flag > 0, 0.0, rate) for rate in rates]

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._idle:
            return
        self._count.tick()
        self._kept.write()
        acts = self._count.due(self.method.interval, self._phase.holds)
        if type(self.method).after_update is Method.after_update:
            return  # nothing to do, so the CPU need not wait for the answer
        if isinstance(acts, Tensor) and self.method.skips_on_device and not self._sharded:
            self._look_at(self.method.after_update([replace(t, acts=acts) for t in self._active()], self._rates))
        elif acts:
            self._look_at(self.method.after_update(self._active(), self._rates))

    def _look_at(self, scaled: list[Scaled]) -> None:
        if scaled:
            self._broken.look(scaled)


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
