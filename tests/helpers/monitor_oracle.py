"""What a monitor should report, straight from the definitions: filter after filter, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from helpers import oracle
from helpers.layer_cases import filters

Applied = Callable[["History", Tensor, Tensor], Tensor]
"""From the history, the gradient and the weight before the update to what the rate is multiplied by."""


@dataclass
class History:
    """The moments that an optimizer keeps of one weight, kept here by the papers' equations."""

    updates: int = 0
    first: Tensor | float = 0.0
    second: Tensor | float = 0.0
    greatest: Tensor | None = None


def gradient_itself(*seen: History | Tensor) -> Tensor:
    return seen[1]


def adam(
    beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, decay: float = 0.0, amsgrad: bool = False
) -> Applied:
    """WRS paper, eq. 7-11. `decay` is the coupled one of Adam. With `amsgrad` v is the greatest so far."""

    def applied(history: History, gradient: Tensor, before: Tensor) -> Tensor:
        gradient = gradient + decay * before
        history.updates += 1
        history.first = beta1 * history.first + (1 - beta1) * gradient
        history.second = beta2 * history.second + (1 - beta2) * gradient**2
        first = history.first / (1 - beta1**history.updates)
        if history.greatest is None or not amsgrad:
            history.greatest = history.second
        history.greatest = torch.maximum(history.greatest, history.second)
        second = history.greatest / (1 - beta2**history.updates)
        return first / (second**0.5 + eps)

    return applied


def expected_row(layers: list[tuple[nn.Module, Tensor, Tensor, Tensor, Tensor]], eta: float) -> dict[str, float]:
    """Of all filters of the layers together. For each layer: module, before, after, gradient, applied."""
    rounding = 8 * torch.finfo(layers[0][0].weight.dtype).eps
    after = [length for layer, _, w, _, _ in layers for length in oracle.lengths(layer, w)]
    sound = [length for length in after if 0 < length < math.inf]
    pairs = [
        (old, new)
        for layer, before, w, _, _ in layers
        for old, new in zip(filters(layer, before), filters(layer, w))
        if oracle.length(old) > 0 and oracle.length(new) > 0
    ]
    angles = [math.degrees(angle(old, new)) for old, new in pairs]
    ratios = [oracle.length(new - old) / oracle.length(old) for old, new in pairs]
    moved = [(old, new) for (old, new), ratio in zip(pairs, ratios) if ratio > rounding]
    shares = [float(((new - old) * old).sum()) / oracle.length(new - old) / oracle.length(old) for old, new in moved]
    whole = [math.sqrt(sum(oracle.length(each[i]) ** 2 for each in layers)) for i in (1, 3, 4)]
    return {
        "filters": len(after),
        "filter_norm": sum(after) / len(after),
        "least_filter_norm": min(after),
        "greatest_filter_norm": max(after),
        "greatest_entry": max(float(w.abs().max()) for _, _, w, _, _ in layers),
        "zero_filters": sum(length == 0 for length in after),
        "broken_filters": 0,
        "gradient_norm": whole[1],
        "effective_gradient_norm": whole[2] / whole[0],
        "eta_over_norm": sum(eta / length for length in sound) / len(sound),
        "eta_over_squared_norm": sum(eta / length**2 for length in sound) / len(sound),
        "rotation_degrees": sum(angles) / len(angles),
        "update_ratio": sum(ratios) / len(ratios),
        "radial_share": sum(shares) / len(shares),
    }


def angle(old: Tensor, new: Tensor) -> float:
    """Between two filters, by the sides of the triangle that their directions make (Kahan)."""
    one, other = old / oracle.length(old), new / oracle.length(new)
    return 2 * math.atan2(oracle.length(one - other), oracle.length(one + other))


@dataclass
class Reference:
    """Follows a training beside the monitor."""

    net: nn.Module
    names: tuple[str, ...]
    applied: Applied
    gradient_of: Callable[[nn.Module, Tensor], Tensor] = lambda *seen: seen[1]
    histories: dict[str, History] = field(default_factory=dict)
    seen: dict[str, tuple[nn.Module, Tensor, Tensor, Tensor, Tensor]] = field(default_factory=dict)

    def around(self, step: Callable[[], object]) -> None:
        layers = {name: self.net.get_submodule(name.rpartition(".")[0]) for name in self.names}
        before = {name: layer.weight.detach().double().clone() for name, layer in layers.items()}
        gradients = {name: layer.weight.grad.double().clone() for name, layer in layers.items()}
        step()
        for name, layer in layers.items():
            gradient = self.gradient_of(layer, gradients[name])
            applied = self.applied(self.histories.setdefault(name, History()), gradient, before[name])
            self.seen[name] = (layer, before[name], layer.weight.detach().double().clone(), gradient, applied)

    def row(self, eta: float, *names: str) -> dict[str, float]:
        return expected_row([self.seen[name] for name in names or self.names], eta)


def assert_close(row: object, expected: dict[str, float], rel: float) -> None:
    for key, value in expected.items():
        found = getattr(row, key)
        least = rel if key == "radial_share" else 0.0  # a cosine
        assert math.isclose(found, value, rel_tol=rel, abs_tol=least), f"{key}: {found} instead of {value}"
