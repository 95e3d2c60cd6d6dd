"""Everything that looking at a model must leave as it was."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def everything_about(model: nn.Module) -> dict[str, Any]:
    """State, gradients, modes, hooks and all random states, in a form that compares bit by bit."""
    return {
        "parameters": {name: (id(p), bits(p), bits(p.grad)) for name, p in model.named_parameters()},
        "buffers": {name: (id(b), bits(b)) for name, b in model.named_buffers()},
        "modes": {name: m.training for name, m in model.named_modules()},
        "eps": {name: m.eps for name, m in model.named_modules() if hasattr(m, "eps")},
        "hooks": {name: (len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules()},
        "wants gradients": {name: p.requires_grad for name, p in model.named_parameters()},
        "torch": bits(torch.get_rng_state()),
        "numpy": str(np.random.get_state()),  # noqa: NPY002
        "python": random.getstate(),
        "gradients on": torch.is_grad_enabled(),
    }


def bits(tensor: Tensor | None) -> bytes | None:
    if tensor is None:
        return None
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def used(model: nn.Module) -> nn.Module:
    """After a forward and a backward, in evaluation mode."""
    model(torch.randn(4, 3, 8, 8))
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return model.eval()
