"""A method at work on an optimizer."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from normreg_plugins.core.average import correct_average_
from normreg_plugins.core.clock import UpdateClock
from normreg_plugins.core.confirm import FirstForward, compare, seen_by_gradients
from normreg_plugins.core.copies import forget, remember
from normreg_plugins.core.decay import WeightDecayOff
from normreg_plugins.core.discover import as_verdict
from normreg_plugins.core.errors import StructureMismatchError, UnconfirmedWarning
from normreg_plugins.core.filters import is_zero
from normreg_plugins.core.health import Health
from normreg_plugins.core.methods import Method
from normreg_plugins.core.phase import PerEpoch, Phase
from normreg_plugins.core.select import Choice
from normreg_plugins.core.structure import Claim
from normreg_plugins.core.targets import Rescaled, Target
from normreg_plugins.core.transport import check_transportable, transport_
from normreg_plugins.core.verdict import Verdicts

logger = logging.getLogger("normreg_plugins")


class Handle:
    """A method at work on an optimizer. Use it as a context manager to detach at the end of a block."""

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        method: Method,
        choice: Choice,
        *,
        watch: bool,
        test_gradients: bool,
        updates_per_epoch: PerEpoch,
        schedulers: Sequence[Any],
    ) -> None:
        """See `attach`.

        Args:
            watch: whether the first forward has to confirm what structure promised.
            test_gradients: whether gradients have to, where that forward does not show it.
        """
        self.method = method
        self.left_alone = choice.left_alone
        """Each conv/linear weight that is no target, with the reason."""
        self._optimizer = optimizer
        self._model = model
        self._claims = choice.claims
        self._targets = choice.targets
        self._phase = Phase(method, updates_per_epoch)
        self._health = Health()
        if method.transports_state:
            check_transportable(optimizer, choice.targets)
        weights = [target.weight for target in choice.targets]
        self._decay = WeightDecayOff(optimizer, weights, schedulers) if method.drops_weight_decay else None
        self._clock = UpdateClock(optimizer)
        self._unconfirmed = list(choice.targets) if test_gradients else []
        self._forward_seen = False
        self._mismatch: StructureMismatchError | None = None
        self._first = FirstForward(model, self._start, self._on_first_forward if watch else None)
        if not watch and not method.starts:
            self._first.remove()
        self._hooks = [
            optimizer.register_step_pre_hook(torch.compiler.disable(self._before_step)),  # also in a compiled step
            optimizer.register_step_post_hook(torch.compiler.disable(self._after_step)),
        ]
        remember(optimizer, self)
        self._start()
        logger.info("%s acts on %d of %d conv/linear weights", method, len(choice.targets), len(choice.claims))

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the weights it acts on."""
        return tuple(target.name for target in self._targets)

    @property
    def updates(self) -> int:
        """Parameter updates made so far, those before a resume included."""
        return self._clock.updates

    @property
    def verdicts(self) -> Verdicts:
        """What was found of every conv and linear weight."""
        return Verdicts(map(as_verdict, self._claims))

    @property
    def zero_filters(self) -> dict[str, int]:
        """How many filters of each target are zero now, where any are. They stay as they are."""
        return self._health.count(self._targets, is_zero)

    @property
    def broken_filters(self) -> dict[str, int]:
        """How many filters of each target hold NaN or Inf now, where any do. They stay as they are."""
        return self._health.count(self._targets, lambda norms: ~norms.isfinite())

    def correct_average(self, averaged: nn.Module, forwards: Iterable[Callable[[nn.Module], Any]] = ()) -> None:
        """Make a sound network of an averaged copy of the model, best with batches at hand: see `correct_average_`."""
        correct_average_(averaged, self._model, self.targets, forwards)

    def reapply(self) -> None:
        """Put the weights back where the method keeps them, after something else changed them.

        A host whose checkpoints round weights to half precision, or hold an average of them, needs this on resume.
        """
        if self._phase.holds(max(1, self.updates)):
            self._did(self.method.after_update(self._active()))

    def detach(self) -> None:
        """Leave a plain optimizer and a plain model; the weights stay as they are."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._first.remove()
        if self._decay is not None:
            self._decay.restore()
        if forget(self._optimizer):
            self._clock.forget()

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()

    def __repr__(self) -> str:
        return f"<{self.method!r} on {len(self._targets)} of {len(self._claims)} weights, {self.updates} updates>"

    def _active(self) -> Sequence[Target]:
        """Without those frozen since: a weight with `requires_grad=False` is never touched."""
        return [t for t in self._targets if t.weight.requires_grad]

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        closure = args[1] if len(args) > 1 else kwargs.get("closure")  # args[0] is the optimizer
        if closure is None:
            self._gradients_ready()
            return None
        # A closure computes the gradients inside the step, so ours must come right after it.
        wrapped = _then_once(closure, self._gradients_ready)
        return (*args[:1], wrapped, *args[2:]), {key: value for key, value in kwargs.items() if key != "closure"}

    def _gradients_ready(self) -> None:
        if self._mismatch is not None:
            raise self._mismatch  # whoever caught it at the forward meets it again before anything is updated
        if self._unconfirmed:
            self._confirm_by_gradients()
        if self._phase.always or self._phase.holds(self._clock.updates + 1):
            skipped = self._clock.skipped()
            self._did(self.method.before_update(self._active(), self._rates(skipped)))

    def _rates(self, skipped: torch.Tensor | None) -> Callable[[], list[Any]]:
        """The learning rate of each target, 0 where a fused optimizer will skip the step."""

        def rates() -> list[Any]:
            by_weight = {id(p): g["lr"] for g in self._optimizer.param_groups for p in g["params"]}
            found = [by_weight[id(t.weight)] for t in self._active()]
            return found if skipped is None else [torch.where(skipped > 0, 0.0, rate) for rate in found]

        return rates

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._clock.tick()
        if self._clock.due(self.method.interval, self._phase.holds):
            self._did(self.method.after_update(self._active()))

    def _did(self, rescaled: list[Rescaled]) -> None:
        if rescaled:
            self._health.look(rescaled)
            if self.method.transports_state:
                transport_(self._optimizer, rescaled)

    def _start(self) -> None:
        """At attach and again before the first forward, for weights may be loaded in between; not on resume."""
        if self.updates == 0:
            self._did(self.method.start(self._active()))

    def _on_first_forward(self, seen: list[Claim]) -> None:
        try:
            unseen = compare(self._claims, seen, self._targets)
        except StructureMismatchError as mismatch:
            self._mismatch = mismatch
            raise
        self._unconfirmed = [target for target in self._unconfirmed if target in unseen]
        self._forward_seen = len(unseen) < len(self._targets)

    def _confirm_by_gradients(self) -> None:
        """For targets that no watched forward has shown."""
        ready = [target for target in self._unconfirmed if target.weight.grad is not None]
        if not ready:
            return
        self._unconfirmed = [target for target in self._unconfirmed if target not in ready]
        suspects = seen_by_gradients(ready, (p for group in self._optimizer.param_groups for p in group["params"]))
        found = "nothing speaks against it"
        if suspects:
            found = f"{', '.join(suspects)}: the gradient has a part along the weight, so the loss sees its scale"
            if self._forward_seen:
                raise StructureMismatchError(
                    f"{found}, against what the structure promised. Name weights with select=."
                )
            found += ", or it holds more than the loss (a penalty, noise)"
        warnings.warn(
            f"The first training forward did not show {ready[0].name} and {len(ready) - 1} more targets (the model is "
            "compiled, or not called as a whole, or left them out), so what its structure promised of them was tested "
            f"by their gradients only; {found}. Pass forward= to attach() for a full look.",
            UnconfirmedWarning,
            stacklevel=2,
        )


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
