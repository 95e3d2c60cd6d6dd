"""Put a method around `optimizer.step()`, and take it off again."""

from __future__ import annotations

import logging
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import LBFGS, Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from normreg_plugins.core.average import correct_average_
from normreg_plugins.core.clock import STATE_KEY, UpdateClock
from normreg_plugins.core.confirm import FirstForward, check_gradients, compare
from normreg_plugins.core.decay import WeightDecayOff
from normreg_plugins.core.discover import as_verdict, find_claims, overruled
from normreg_plugins.core.errors import AttachError, PluginLostWarning, UnconfirmedWarning
from normreg_plugins.core.health import Health
from normreg_plugins.core.methods import Method
from normreg_plugins.core.select import choose
from normreg_plugins.core.structure import Claim
from normreg_plugins.core.targets import Rescaled, Target
from normreg_plugins.core.transport import check_transportable, transport_
from normreg_plugins.core.verdict import Verdicts

logger = logging.getLogger("normreg_plugins")
_attached: weakref.WeakKeyDictionary[Optimizer, Handle] = weakref.WeakKeyDictionary()


def attach(
    optimizer: Optimizer,
    model: nn.Module,
    method: Method,
    select: str | Iterable[str] | None = None,
    *,
    forward: Callable[[nn.Module], Any] | None = None,
    proof: Verdicts | None = None,
    updates_per_epoch: int | None = None,
) -> Handle:
    """Let `method` act around every update of `optimizer` until `handle.detach()`.

    Call it before making a learning rate scheduler (weight decay may need a parameter group of its own) and, on resume,
    before or after `optimizer.load_state_dict`: the update count is in the optimizer's state.

    Args:
        select: names or patterns of weights or layers; replaces the choice the method would make.
        forward: a callable that runs one training forward of the model it is given. With it the weights are chosen by
            what that forward shows. Without it they are chosen by structure, and the first real training forward is
            watched; if it contradicts the structure, an error names the weight before anything is updated.
        proof: what `prove_scale_invariant` found of this model; where it differs, numbers overrule what was seen.
        updates_per_epoch: needed by a method whose phase is given in epochs.
    """
    refuse_unsound(optimizer, model, method)
    claims = find_claims(model, forward)
    if proof is not None:
        claims = overruled(claims, proof, model)
    targets, left_alone = choose(claims, method, select, optimizer)
    return Handle(
        optimizer, model, method, claims, targets, left_alone, forward is None and proof is None, updates_per_epoch
    )


class Handle:
    """A method at work on an optimizer. Use it as a context manager to detach at the end of a block."""

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        method: Method,
        claims: Sequence[Claim],
        targets: Sequence[Target],
        left_alone: dict[str, str],
        by_structure: bool,
        updates_per_epoch: int | None,
    ) -> None:
        self.method = method
        self.left_alone = left_alone
        """Each conv/linear weight that is no target, with the reason."""
        self._optimizer = optimizer
        self._model = model
        self._claims = tuple(claims)
        self._targets = tuple(targets)
        self._begin, self._end = _phase_in_updates(method, updates_per_epoch)
        self._health = Health()
        if method.transports_state:
            check_transportable(optimizer, targets)
        self._decay = WeightDecayOff(optimizer, [t.weight for t in targets]) if method.drops_weight_decay else None
        self._clock = UpdateClock(optimizer)
        self._first = FirstForward(model, self._on_first_forward) if by_structure else None
        self._hooks = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]
        _remember(optimizer, self)
        self._did(method.start(self._active()))
        logger.info("%s acts on %d of %d conv/linear weights", method, len(targets), len(claims))

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
        return self._health.count(self._targets, lambda norms: norms == 0)

    @property
    def broken_filters(self) -> dict[str, int]:
        """How many filters of each target hold NaN or Inf now, where any do. They stay as they are."""
        return self._health.count(self._targets, lambda norms: ~norms.isfinite())

    def correct_average(self, averaged: nn.Module) -> None:
        """Make an averaged copy of the model a correct network: see `correct_average_`."""
        correct_average_(averaged, self._model, self.targets)

    def detach(self) -> None:
        """Leave a plain optimizer and a plain model; the weights stay as they are."""
        for hook in self._hooks:
            hook.remove()
        if self._first is not None:
            self._first.remove()
        if self._decay is not None:
            self._decay.restore()
        if _attached.pop(self._optimizer, None) is not None:
            self._clock.forget()
            self._optimizer.defaults.pop(STATE_KEY, None)
        self._hooks, self._first, self._decay = [], None, None

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
        if self._first is not None and self._first.waiting:
            self._confirm_by_gradients()
        if self._acts_on_next():
            skipped = self._clock.skipped()
            self._did(self.method.before_update(self._active(), self._rates(skipped)))

    def _acts_on_next(self) -> bool:
        always = self._begin == 0 and self._end == float("inf")
        return always or self._begin < self._clock.updates + 1 <= self._end

    def _rates(self, skipped: torch.Tensor | None) -> Callable[[], list[Any]]:
        """The learning rate of each target, 0 where a fused optimizer will skip the step."""

        def rates() -> list[Any]:
            by_weight = {id(p): g["lr"] for g in self._optimizer.param_groups for p in g["params"]}
            found = [by_weight[id(t.weight)] for t in self._active()]
            return found if skipped is None else [torch.where(skipped > 0, 0.0, rate) for rate in found]

        return rates

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._clock.tick()
        if self._clock.due(self.method.interval, self._begin, self._end):
            self._did(self.method.after_update(self._active()))

    def _did(self, rescaled: list[Rescaled]) -> None:
        if rescaled:
            self._health.look(rescaled)
            if self.method.transports_state:
                transport_(self._optimizer, rescaled)

    def _on_first_forward(self, seen: list[Claim]) -> None:
        compare(self._claims, seen, self._targets)

    def _confirm_by_gradients(self) -> None:
        assert self._first is not None
        self._first.remove()
        check_gradients(self._targets)
        warnings.warn(
            "The model's first training forward could not be watched (it is compiled, or not called as a whole), so what "
            "its structure promised was tested by its gradients only. Pass forward= to attach() for a full look.",
            UnconfirmedWarning,
            stacklevel=2,
        )


def refuse_unsound(optimizer: Optimizer, model: nn.Module, method: Method) -> None:
    """Say early what cannot work."""
    if not isinstance(method, Method):
        raise AttachError(f"method={method!r}: must be a WeightRescaling, AdaptiveWeightShrink or SphereDescent object")
    if not isinstance(optimizer, Optimizer):
        hint = "; pass its .optimizer" if hasattr(optimizer, "optimizer") else ""
        raise AttachError(f"optimizer={type(optimizer).__name__}: must be a torch.optim.Optimizer{hint}")
    if isinstance(optimizer, LBFGS):
        raise AttachError(
            "LBFGS evaluates its closure many times in one step and learns curvature from the differences; moving weights "
            "in between would falsify both. Use an optimizer that takes one gradient per step."
        )
    if optimizer in _attached:
        raise AttachError(f"{_attached[optimizer]!r} is attached to this optimizer already; detach() it first")
    for module in model.modules():
        if type(module).__name__ == "FullyShardedDataParallel":
            raise AttachError(
                "FSDP1 keeps weights in flat pieces that cut through filters. Shard with FSDP2 "
                "(torch.distributed.fsdp.fully_shard), which keeps filters whole, or train with DDP."
            )
    for name, parameter in model.named_parameters():
        if hasattr(parameter, "ds_id"):
            raise AttachError(
                f"{name}: DeepSpeed ZeRO-3 keeps weights in flat pieces that cut through filters. Use ZeRO stage 0, "
                "FSDP2 (torch.distributed.fsdp.fully_shard) or DDP."
            )


def _phase_in_updates(method: Method, updates_per_epoch: int | None) -> tuple[float, float]:
    begin, end, unit = method.phase
    if unit == "update":
        return begin, end
    if not updates_per_epoch:
        raise AttachError(f"{method!r} gives its phase in epochs: pass updates_per_epoch (got {updates_per_epoch!r})")
    return begin * updates_per_epoch, end * updates_per_epoch


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


def _remember(optimizer: Optimizer, handle: Handle) -> None:
    """Hooks are lost when an optimizer is copied or pickled, `defaults` are not: so a copy can be told."""
    _attached[optimizer] = handle
    optimizer.defaults[STATE_KEY] = True


def _tell_if_lost(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """Runs after the step of any optimizer of this process."""
    if optimizer in _attached or optimizer in _told_lost:
        return
    if STATE_KEY in optimizer.defaults or STATE_KEY in optimizer.state:
        _told_lost.add(optimizer)
        warnings.warn(
            f"This {type(optimizer).__name__} is a copy of one that a method was attached to, or was resumed from it, and "
            "the method does not act on it: copying and pickling lose optimizer hooks. Call attach() on it; or, to train "
            f"on without, `optimizer.state.pop({STATE_KEY!r}, None)`.",
            PluginLostWarning,
            stacklevel=2,
        )


_told_lost: weakref.WeakSet[Optimizer] = weakref.WeakSet()
register_optimizer_step_post_hook(_tell_if_lost)
