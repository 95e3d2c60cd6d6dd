"""What an optimizer multiplies by its learning rate, and how that depends on the length of a filter."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from normreg_plugins.core.model import at_least_float32

RateLaw = Literal["eta_over_squared_norm", "eta_over_norm"]
"""The effective rate is eta / ||w||^2 for SGD-like optimizers and eta / ||w|| for adaptive ones (L2 paper, Table 1)."""

SECOND_MOMENTS = frozenset({"exp_avg_sq", "square_avg", "sum", "exp_inf"})
"""An optimizer that keeps one of these divides by the size of the gradient."""
MOMENTUM_KEYS = frozenset({"momentum_buffer"})

State = dict[str, Any]


def rate_law(optimizer: Optimizer) -> RateLaw | None:
    """Which effective rate this optimizer has, judged by the state it keeps; None where that does not tell.

    Ask after the first update: before it, most optimizers have no state.
    """
    kept = {key for state in optimizer.state.values() if isinstance(state, dict) for key in state}
    if kept & SECOND_MOMENTS:
        return "eta_over_norm"
    if isinstance(optimizer, SGD) or (kept <= MOMENTUM_KEYS and "momentum" in optimizer.defaults):
        return "eta_over_squared_norm"
    return None


def has_plain_momentum(optimizer: Optimizer) -> bool:
    """Whether it is SGD with momentum, for which the WRS paper smooths the effective gradient norm."""
    return rate_law(optimizer) == "eta_over_squared_norm" and any(g.get("momentum") for g in optimizer.param_groups)


def applied_norm(group: State, state: State, gradient: Tensor, gradient_norm: Tensor, before: Tensor) -> Tensor:
    """The norm of a layer's gradient as the WRS paper measures it in Fig. 2a.

    For Adam, AdamW and RMSprop that is what the update just made multiplied by the rate. AdamP's is read before its
    projection. For every other optimizer it is the gradient itself.

    Args:
        group: the weight's parameter group.
        state: the optimizer's state of the weight, after the update.
        before: the weight before the update.
    """
    if {"exp_avg", "exp_avg_sq", "step"} <= state.keys() and "betas" in group:
        return _adam(group, state)
    if "square_avg" in state and "alpha" in group:
        return whole_norm(_rmsprop(group, state, gradient, before))
    return gradient_norm


def whole_norm(values: Tensor) -> Tensor:
    return torch.linalg.vector_norm(values, dtype=at_least_float32(values.dtype))


def _adam(group: State, state: State) -> Tensor:
    """WRS paper, eq. 9-11: ||m_hat / (sqrt(v_hat) + eps)||.

    Both bias corrections are taken out of the tensors, which leaves one temporary of the size of the weight.
    """
    beta1, beta2 = group["betas"]
    step = state["step"].double() if torch.is_tensor(state["step"]) else state["step"]
    first, second = 1 - beta1**step, (1 - beta2**step) ** 0.5
    square = state["max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"]
    divisor = square.sqrt().add_(group["eps"] * second)
    return whole_norm(torch.div(state["exp_avg"], divisor, out=divisor)) * (second / first)  # eq. 11


def _rmsprop(group: State, state: State, gradient: Tensor, before: Tensor) -> Tensor:
    """L2 paper, Section 5.2, with torch's options: weight decay, centring and momentum."""
    if group.get("momentum"):
        return state["momentum_buffer"]
    square = state["square_avg"]
    if group.get("centered"):
        square = square - state["grad_avg"].square()
    decayed = gradient + group.get("weight_decay", 0.0) * before
    return decayed / (square.sqrt() + group["eps"])
