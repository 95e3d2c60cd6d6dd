"""The filter norm at which AWS, or weight decay, balances the gradient.

A step of plain SGD at rate eta with a gradient g orthogonal to w moves ||w||^2 by eta^2 ||g||^2, the shrink by minus
2 eta alpha m(w) ||w||^2 (AWS paper, eq. 20-21, m(w) = ||w|| / sqrt(n) for WS) or 2 eta lambda ||w||^2. With
G = ||w|| ||g||, which the scale of w does not change (eq. 11), they balance where

    ||w||^5 = sqrt(n) eta G^2 / (2 alpha)        under AWS
    ||w||^4 = eta G^2 / (2 lambda)               under weight decay

So ||w|| is proportional to alpha^(-1/5) and lambda^(-1/4) while G stays the same. G is measured too. It changes with
the strength, because a larger effective rate leads to another net.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from normreg_plugins import AdaptiveWeightShrink, attach
from normreg_plugins.layers import WSConv2d
from research.digits import training
from research.nets import conv_weights, digits_net, filter_norms, two_groups
from research.tables.study import Row, mean_and_error, powers, run, table, where

RATE, RANDOM_LABELS = 0.3, 0.3
EXPONENTS = {"AWS": 1 / 5, "WD": 1 / 4}
STRENGTHS = {"AWS": (0.03, 0.1, 0.3, 1.0, 3.0), "WD": (0.003, 0.01, 0.03, 0.1, 0.3)}


def train(method: str, strength: float, seed: int, updates: int) -> Row:
    """Geometric means over the filters: their norm, and what the equation gives for the measured G."""
    torch.manual_seed(seed)
    model = digits_net(conv=WSConv2d)
    weights = conv_weights(model)
    decay = strength if method == "WD" else 0.0
    optimizer = torch.optim.SGD(two_groups(model, weights, {"lr": RATE, "weight_decay": decay}, {"lr": 0.1}))
    norms: list[Tensor] = []
    pulls: list[Tensor] = []  # G^2

    def measure(*_: object) -> None:
        norms.append(filter_norms(weights))
        pulls.append((norms[-1] * filter_norms([w.grad for w in weights if w.grad is not None])) ** 2)

    optimizer.register_step_pre_hook(measure)  # before AWS shrinks
    if method == "AWS":
        attach(optimizer, model, AdaptiveWeightShrink(strength))
    for _ in training(model, optimizer, seed, updates, random_labels=RANDOM_LABELS):
        pass
    settled = slice(updates // 2, None)
    entries = torch.cat([torch.full((len(w),), float(w[0].numel())) for w in weights])
    balance = RATE * torch.stack(pulls[settled]).mean(0) / (2 * strength)
    predicted = (balance * (entries.sqrt() if method == "AWS" else 1.0)) ** EXPONENTS[method]
    norm, predicted = (each.log().mean().exp() for each in (torch.stack(norms[settled]), predicted))
    return {"norm": norm.item(), "predicted": predicted.item()}


def show(rows: list[Row]) -> str:
    body = []
    for method, theory in EXPONENTS.items():
        mine = where(rows, method=method)
        measured = powers(mine, lambda row: 1 / row["strength"], lambda row: row["norm"])
        ratios = [row["norm"] / row["predicted"] for row in mine]
        body.append([method, f"{theory:.3f}", mean_and_error(measured), mean_and_error(ratios)])
    return table(["", "p by theory", "p measured, by seed", "norm / predicted"], body)


if __name__ == "__main__":
    settings = [{"method": method, "strength": each} for method in STRENGTHS for each in STRENGTHS[method]]
    sys.exit(run(__doc__, "aws_equilibrium", 800, settings, train, show))
