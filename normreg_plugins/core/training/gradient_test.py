"""Does the loss see the scale of a weight? Its gradient shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from normreg_plugins.core.methods import Target
from normreg_plugins.core.verdicts import Kind

RADIAL_LIMIT = 0.25
"""Above this the loss sees the scale. 1 is the part along the weight that a random gradient has. The part that the
gradient of an invariant weight has is rounding error: about 1e-5 in float32, below 0.1 under bfloat16 autocast."""
NEGLIGIBLE = 1e-3
"""A gradient whose pull is below this part of the strongest one is mostly rounding error."""


@torch.no_grad()
def seen_by_gradients(targets: Sequence[Target], parameters: Iterable[Tensor]) -> list[str]:
    """Lemma 3.1 of the WRS paper as a test: the gradient of a scale invariant filter is orthogonal to it.

    It serves a model whose forward could not be watched. It makes the CPU wait for the GPU once. Compensated weights
    are not tested, because the lemma is false for frozen norm layers. Nor are weights whose gradient is tiny beside
    the gradients of all `parameters`, because rounding errors have any direction.

    Returns:
        The weights whose scale the gradients seem to see.
    """
    tested = [t for t in targets if t.report.kind is Kind.INVARIANT and t.weight.grad is not None]
    if not tested:
        return []
    sizes = torch.stack([_pull(p).to("cpu", torch.float32) for p in parameters if p.grad is not None])
    shares = torch.stack([_radial_share(t).to("cpu", torch.float32) for t in tested])
    pulls = torch.stack([_pull(t.weight).to("cpu", torch.float32) for t in tested])
    seen = (shares > RADIAL_LIMIT) & (pulls > NEGLIGIBLE * sizes.max()) & shares.isfinite()
    return [target.name for target, yes in zip(tested, seen.tolist()) if yes]


def _radial_share(target: Target) -> Tensor:
    """|<g, w>| / (||g|| ||w||) over all filters, relative to that of a random gradient: 1 / sqrt(fan-in)."""
    assert target.weight.grad is not None
    weight, grad = (target.filters.view(x).float() for x in (target.weight, target.weight.grad))
    direction = weight / target.filters.norms(weight).clamp_min(1e-30)
    radial = (grad * direction).sum(target.filters.dims)
    return radial.norm() / grad.norm().clamp_min(1e-30) * math.sqrt(target.filters.fan_in)


def _pull(parameter: Tensor) -> Tensor:
    """||g|| ||w||: how much the loss depends on a parameter, whatever its scale."""
    assert parameter.grad is not None
    return parameter.grad.float().norm() * parameter.float().norm()
