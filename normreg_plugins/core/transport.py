"""Carry an optimizer's state along when a weight is rescaled.

When w <- a w, the gradient of a scale invariant loss becomes g / a. Averages of gradients follow as 1 / a, averages of
their squares as 1 / a^2. The WRS paper leaves them as they are; this is an option.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.optim import Optimizer

from normreg_plugins.core.errors import AttachError
from normreg_plugins.core.targets import Rescaled, Target

POWERS = {
    "momentum_buffer": 1,
    "exp_avg": 1,
    "grad_avg": 1,
    "exp_avg_sq": 2,
    "max_exp_avg_sq": 2,
    "square_avg": 2,
    "sum": 2,
}
"""What each entry of torch's optimizers averages: a power of the gradient."""


def check_transportable(optimizer: Optimizer, targets: Sequence[Target]) -> None:
    """Refuse now what a first step already shows; `transport_` refuses the rest when it meets it."""
    for target in targets:
        for key, value in optimizer.state.get(target.weight, {}).items():
            if torch.is_tensor(value) and value.shape == target.weight.shape and key not in POWERS:
                raise AttachError(
                    f"transport_state: {type(optimizer).__name__} keeps {key!r} for {target.name}, and how it follows "
                    f"a rescale is unknown (known: {', '.join(POWERS)}). Use transport_state=False, as the paper does."
                )


@torch.no_grad()
def transport_(optimizer: Optimizer, rescaled: Sequence[Rescaled]) -> None:
    check_transportable(optimizer, [r.target for r in rescaled])
    for target, _, factor in rescaled:
        for key, value in optimizer.state.get(target.weight, {}).items():
            if key in POWERS and torch.is_tensor(value):
                target.filters.view(value).div_(factor ** POWERS[key])
