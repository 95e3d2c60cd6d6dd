"""What an optimizer multiplies by its learning rate, how its effective rate depends on the filter norm, and where that
leads under weight decay."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import SGD, Adadelta, Adagrad, AdamW, Optimizer, RMSprop

from normreg_plugins.core.model import at_least_float32

RateLaw = Literal["eta_over_squared_norm", "eta_over_norm"]
"""The effective rate is eta / ||w||^2 for SGD-like optimizers and eta / ||w|| for adaptive ones (L2 paper, Table 1)."""

State = dict[str, Any]


def rate_law(optimizer: Optimizer) -> RateLaw | None:
    """The law of this optimizer's effective rate, by its class and options; None if they do not tell."""
    options = optimizer.defaults.keys()
    if "betas" in options or isinstance(optimizer, RMSprop | Adagrad | Adadelta):
        return "eta_over_norm"
    if isinstance(optimizer, SGD) or {"momentum", "dampening", "nesterov"} <= options:
        return "eta_over_squared_norm"
    return None


def equilibrium_angle(optimizer: Optimizer, group: State) -> float | Tensor | None:
    """By how many degrees per update a filter turns once weight decay undoes its growth; None if that is not known.

    Kosson et al. 2024 (arXiv 2305.17212): sqrt(2 eta lambda / (1 + mu)) for SGD with momentum, and
    sqrt(2 eta lambda (1 - beta1) / (1 + beta1)) for AdamW. Both are sqrt(2 eta lambda S2 / S1), where S1 and S2 are the
    sums of c_k and c_k^2, the shares of the gradient of k updates ago in an update. That is used for Nesterov's, too.
    """
    decay = group.get("weight_decay")
    if not decay:
        return None
    if isinstance(optimizer, AdamW) or group.get("decoupled_weight_decay"):
        beta1 = group["betas"][0]
        ratio = (1 - beta1) / (1 + beta1)
    elif isinstance(optimizer, SGD):
        mu = group["momentum"]
        ratio = (1 - group["dampening"]) / (1 + mu) if mu else 1.0
        if group["nesterov"]:  # c_0 = 1 + mu, c_k = mu^(k + 1)
            ratio = (1 - mu) * ((1 + mu) ** 2 + mu**4 / (1 - mu**2))
    else:
        return None
    return (2 * group["lr"] * decay * ratio) ** 0.5 * (180 / math.pi)


def applied_norm(group: State, state: State, gradient_norm: Tensor) -> Tensor:
    """The norm of a layer's gradient as the WRS paper measures it in Fig. 2a.

    For Adam and AdamW it is that of what the update just made multiplied by the rate, ||m_hat / (sqrt(v_hat) + eps)||
    (eq. 9-11). AdamP's is read before its projection. For every other optimizer it is that of the gradient itself.

    Args:
        group: the weight's parameter group.
        state: the optimizer's state of the weight, after the update.
    """
    if not ({"exp_avg", "exp_avg_sq", "step"} <= state.keys() and "betas" in group):
        return gradient_norm
    beta1, beta2 = group["betas"]
    step = state["step"].double() if torch.is_tensor(state["step"]) else state["step"]
    first, second = 1 - beta1**step, (1 - beta2**step) ** 0.5
    square = state["max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"]
    divisor = square.sqrt().add_(group["eps"] * second)  # the corrections come last, which saves temporaries
    return layer_norm(torch.div(state["exp_avg"], divisor, out=divisor)) * (second / first)  # eq. 11


def layer_norm(values: Tensor) -> Tensor:
    """The norm of all entries together, in float32 at least."""
    return torch.linalg.vector_norm(values, dtype=at_least_float32(values.dtype))
