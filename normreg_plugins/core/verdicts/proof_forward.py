"""One training forward of a proof: what is recorded of it, and the conditions under which it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.model import (
    Layer,
    filters_of,
    is_frozen,
    is_layer,
    is_norm_layer,
    leaves_of,
    norm_eps,
    restored,
    same_randomness,
)

ALMOST_NO_EPS = 1e-30
CLEAR = 0.1
"""The least change of the outputs, relative to them and to a small change of a scale, that is no rounding error."""


class ForwardRecord:
    """What one forward computed, and which `layers` it called."""

    def __init__(self, model: nn.Module, forward: Callable[[nn.Module], Any], layers: Iterable[Layer] = ()) -> None:
        self.called: set[nn.Module] = set()
        hooks = [layer.module.register_forward_hook(lambda module, *_: self.called.add(module)) for layer in layers]
        try:
            with restored(model):
                outputs = forward(model)
        finally:
            for hook in hooks:
                hook.remove()
        flat = [*leaves_of(outputs)]
        self.outputs = [t.detach().clone() for t in flat if isinstance(t, Tensor) and t.is_floating_point()]
        self.outputs += [torch.tensor(t, dtype=torch.float64) for t in flat if isinstance(t, float)]


def clearly_seen(model: nn.Module, forward: Callable[[nn.Module], Any], layers: Iterable[Layer]) -> set[Layer]:
    """The layers whose scale clearly changes the outputs, with their bias and without it: one backward for all of them.

    With g the gradient of a random mixture of the outputs, <w, g> is its change as w grows. A gradient that is missing,
    small or not finite says nothing.
    """
    parts = {layer: [p for p in (layer.weight, layer.bias) if p is not None] for layer in layers}
    parts = {layer: each for layer, each in parts.items() if all(p.requires_grad for p in each)}
    inputs = list(chain.from_iterable(parts.values()))
    try:
        with restored(model), torch.enable_grad():
            flat = [t for t in leaves_of(forward(model)) if isinstance(t, Tensor) and t.is_floating_point()]
            terms = [_mixed(t[t.isfinite()]) for t in flat if t.requires_grad]
            if not (terms and inputs):
                return set()
            gradients = iter(torch.autograd.grad(torch.stack(terms).sum(), inputs, allow_unused=True))
    except (NormRegError, RuntimeError):  # it cannot run backward
        return set()
    seen = set()
    for layer, each in parts.items():
        along = [0.0 if g is None else float((p * g).sum()) for p, g in zip(each, gradients)]
        if all(CLEAR < abs(change) < math.inf for change in (along[0], sum(along))):
            seen.add(layer)
    return seen


def _mixed(output: Tensor) -> Tensor:
    """A random mixture of its entries, relative to its norm."""
    direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).to(output)
    return ((output @ direction) / output.detach().norm().clamp_min(ALMOST_NO_EPS)).cpu().double()


@contextmanager
def scaled(factors: Mapping[Layer, Tensor], biased: Collection[Layer]) -> Iterator[None]:
    """Scale weights filter by filter, and the biases of the layers in `biased`. Restore them on exit."""
    changed: dict[int, Tensor] = {id(layer.weight): layer.weight for layer in factors}
    changed |= {id(layer.bias): layer.bias for layer in biased if layer.bias is not None}
    saved = [(tensor, tensor.clone()) for tensor in changed.values()]
    try:
        for layer, factor in factors.items():
            filters = filters_of(layer.module)
            filters.scale_(layer.weight, factor.to(layer.weight).view_as(filters.norms(layer.weight)))
            if layer in biased and layer.bias is not None:
                layer.bias.mul_(factor.to(layer.bias))
        yield
    finally:
        for tensor, value in saved:
            tensor.copy_(value)


@contextmanager
def generic_point(model: nn.Module) -> Iterator[None]:
    """Make constant parameters random and every eps nearly zero. Restore them on exit.

    A zero gamma hides what a filter does, and an eps sees the scale of what it is added to.
    """
    saved = [(p, p.detach().clone()) for p in model.parameters()]
    dividing = [module for module in model.modules() if is_norm_layer(module) or is_layer(module)]
    eps = {module: norm_eps(module) for module in dividing if norm_eps(module) > 0}
    generator = torch.Generator().manual_seed(0)
    for parameter, _ in saved:
        _leave_constant_(parameter, generator)
    for module in eps:
        _set_eps(module, ALMOST_NO_EPS)
    try:
        yield
    finally:
        for parameter, value in saved:
            parameter.copy_(value)
        for module, before in eps.items():
            _set_eps(module, before)


def _leave_constant_(parameter: Tensor, generator: torch.Generator) -> None:
    """Add noise to a parameter whose entries are all equal, such as a zero bias or a tiny layer scale.

    Uninitialized memory counts as constant if all its entries are nearly zero.
    """
    if not parameter.is_floating_point() or not parameter.numel():
        return
    if bool(((parameter - parameter.flatten()[0]).abs() <= ALMOST_NO_EPS).all()):
        spread = 0.1 if parameter.ndim < 2 else 1 / math.sqrt(max(1, parameter[0].numel()))
        parameter.add_(spread * torch.randn(parameter.shape, generator=generator).to(parameter))


def fit_frozen_(model: nn.Module, forward: Callable[[nn.Module], Any]) -> None:
    """Give frozen norm layers statistics near those of what enters them, as after training.

    With arbitrary statistics the signal may shrink from one norm layer to the next until the outputs hardly change.
    """
    hooks = [module.register_forward_pre_hook(_fit_) for module in model.modules() if is_frozen(module)]
    try:
        if hooks:
            with same_randomness():
                forward(model)
    finally:
        for hook in hooks:
            hook.remove()


def _fit_(norm: nn.Module, args: Any) -> None:
    if not args or not args[0].numel():
        return
    entering = args[0].detach().transpose(0, 1).flatten(1)
    mean, var = entering.mean(1), entering.var(1, unbiased=False)
    if var.any():  # not exactly equal: a norm layer that fits its input exactly would hide errors
        norm.running_mean.copy_(mean + 0.1 * var.sqrt())  # type: ignore[operator]
        norm.running_var.copy_(1.2 * var + 1e-3 * entering.square().mean())  # type: ignore[operator]


def _set_eps(module: nn.Module, eps: float) -> None:
    module.eps = eps  # type: ignore[assignment]


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether two tensors differ little, relative to their norm, and have NaN or Inf in the same places."""
    if a.shape != b.shape:
        return False
    a, b = a.double(), b.double()
    finite = b.isfinite()
    if not torch.equal(finite, a.isfinite()):
        return False
    difference = (a - b)[finite].norm()
    return bool(difference <= tolerance * b[finite].norm() + 1e-30)
