"""Hold what the structure promised against the first real forward, before the first update acts on it."""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.hooks import RemovableHandle

from normreg_plugins.core.discover import judge
from normreg_plugins.core.errors import StructureMismatchError, UnconfirmedWarning
from normreg_plugins.core.flow import Flow
from normreg_plugins.core.parts import layers_of
from normreg_plugins.core.structure import Claim
from normreg_plugins.core.targets import Target
from normreg_plugins.core.verdict import Kind

if hasattr(torch.compiler, "is_compiling"):
    from torch.compiler import is_compiling
else:  # torch < 2.3; the compiler recognises its own function only
    from torch._dynamo.external_utils import is_compiling

SCALE_BLIND = (Kind.INVARIANT, Kind.COMPENSATED)
RADIAL_LIMIT = 0.25
"""Of a random gradient's share along the weight. An invariant weight's share is its rounding error: 1e-5 or so in
float32, below 0.1 under bfloat16 autocast."""
NEGLIGIBLE = 1e-3
"""Below this part of the strongest pull on any parameter, a gradient says nothing."""


class FirstForward:
    """Watches the first training forward of a model, then takes itself off.

    Its hooks are torch's global ones, not the model's own: the model stays plain, and so do its copies and pickles.

    Args:
        begin: called before that forward.
        done: called after it with what was seen; None if there is nothing to see.
    """

    def __init__(self, model: nn.Module, begin: Callable[[], None], done: Callable[[list[Claim]], None] | None) -> None:
        self._model = weakref.ref(model)
        self._begin_with, self._done = begin, done
        self._flow: Flow | None = None
        self._watch: AbstractContextManager | None = None
        self._handles: list[RemovableHandle] = []
        if not hasattr(model, "_orig_mod"):  # a compiled model shows nothing, and torch warns of global hooks on it
            self._handles = [
                register_module_forward_pre_hook(_weak(self._begin)),
                register_module_forward_hook(_weak(self._finish), always_call=True),
            ]
        weakref.finalize(self, _remove_all, self._handles)

    def remove(self) -> None:
        _remove_all(self._handles)

    def _begin(self, model: nn.Module, args: Any) -> None:
        if model is not self._model() or not model.training or is_compiling() or self._watch is not None:
            return
        self._begin_with()
        if self._done is None:
            self.remove()
            return
        self._flow = Flow(model, layers_of(model))
        self._watch = self._flow.watching()
        self._watch.__enter__()

    def _finish(self, model: nn.Module, args: Any, output: Any) -> None:
        if model is not self._model() or self._watch is None or is_compiling():
            return
        self._watch.__exit__(None, None, None)
        flow, self._flow, self._watch = self._flow, None, None
        if output is not None and flow is not None and self._done is not None:
            self.remove()
            self._done(judge(flow, output))


def _weak(method: Callable[..., None]) -> Callable[..., None]:
    """A global hook must not keep alive what it serves."""
    reference = weakref.WeakMethod(method)

    def call(*args: Any) -> None:
        alive = reference()
        if alive is not None:
            alive(*args)

    return call


def _remove_all(handles: list[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()
    handles.clear()


def compare(promised: Sequence[Claim], seen: Sequence[Claim], targets: Sequence[Target]) -> list[Target]:
    """Raise where a target turns out to be something else; tell of weights that could have been taken too.

    Args:
        promised: by structure.
        seen: on a forward.
        targets: what a method already acts on.

    Returns:
        The targets this forward left out, as stochastic depth may; or it hid them, as a compiled part does.
    """
    found = {claim.layer.name: claim for claim in seen}
    unseen = [target for target in targets if not found[target.name].seen]
    for target in targets:
        claim = found[target.name]
        if target in unseen:
            continue
        if target.claim.kind in SCALE_BLIND and not _keeps(target.claim, claim):
            through = " through other norms or channels" if claim.kind in SCALE_BLIND else ""
            raise StructureMismatchError(
                f"{target.name}: the structure promised {target.claim.kind} ({target.claim.reason}), but the first "
                f"forward shows {claim.kind}{through} ({claim.reason}). Nothing was updated yet. Pass forward= to "
                "attach() so that the model is looked at while it runs, or name the weights with select=."
            )
    _tell_of_missed(promised, found)
    return unseen


def _keeps(promised: Claim, seen: Claim) -> bool:
    """Whether acting on the promise keeps the function: still blind to scale, and the same statistics repaired."""
    if seen.kind not in SCALE_BLIND:
        return False
    kept = {id(read.norm) for read in promised.reads}
    return all(id(read.norm) in kept and read.channels is None for read in seen.reads)


def _tell_of_missed(promised: Sequence[Claim], found: dict[str, Claim]) -> None:
    missed = [
        claim.layer.name
        for claim in promised
        if claim.kind not in SCALE_BLIND and found[claim.layer.name].kind in SCALE_BLIND and not claim.layer.spoiled
    ]
    if missed:
        warnings.warn(
            f"The first forward shows {len(missed)} more scale invariant weights than the structure told: "
            f"{', '.join(missed[:5])}{', ...' if len(missed) > 5 else ''}. They are left alone; pass forward= to "
            "attach() to take them too.",
            UnconfirmedWarning,
            stacklevel=2,
        )


@torch.no_grad()
def seen_by_gradients(targets: Sequence[Target], parameters: Iterable[Tensor]) -> list[str]:
    """Lemma 3.1 of the WRS paper as a test: the gradient of a scale invariant filter is orthogonal to it.

    For a model whose forward could not be watched (it is compiled, or not called as a whole). Waits for the device;
    done once. Frozen norms break the lemma, so compensated weights are not tested, nor are weights whose gradient is
    next to nothing beside those of all `parameters`: that is rounding, which points anywhere.

    Returns:
        The weights whose scale the gradients seem to see.
    """
    tested = [t for t in targets if t.claim.kind is Kind.INVARIANT and t.weight.grad is not None]
    if not tested:
        return []
    sizes = torch.stack([_pull(p).to("cpu", torch.float32) for p in parameters if p.grad is not None])
    shares = torch.stack([_radial_share(t).to("cpu", torch.float32) for t in tested])
    pulls = torch.stack([_pull(t.weight).to("cpu", torch.float32) for t in tested])
    seen = (shares > RADIAL_LIMIT) & (pulls > NEGLIGIBLE * sizes.max()) & shares.isfinite()
    return [target.name for target, yes in zip(tested, seen.tolist()) if yes]


def _radial_share(target: Target) -> Tensor:
    """|<g, w>| / (||g|| ||w||) over all filters, in units of what a random gradient has: 1 / sqrt(fan-in)."""
    assert target.weight.grad is not None
    weight, grad = (target.whole.view(x).float() for x in (target.weight, target.weight.grad))
    unit = weight / target.whole.norms(weight).clamp_min(1e-30)
    radial = (grad * unit).sum(target.whole.dims)
    return radial.norm() / grad.norm().clamp_min(1e-30) * math.sqrt(target.whole.fan_in)


def _pull(parameter: Tensor) -> Tensor:
    """||g|| ||w||: how much the loss depends on a parameter, whatever its scale."""
    assert parameter.grad is not None
    return parameter.grad.float().norm() * parameter.float().norm()
