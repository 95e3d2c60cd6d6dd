"""Mean-only batch norm: the batch mean is taken away and nothing is divided (Salimans & Kingma 2016, section 3).

Hoffer et al. 2018 train bounded weight norm (BWN) with it, and the WRS paper compares with that (Fig. 6b).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import at_least_float32


def mean_only_batch_norm(
    x: Tensor, running_mean: Tensor, bias: Tensor | None = None, training: bool = False, momentum: float = 0.1
) -> Tensor:
    """y = x - mean + beta, for each channel of x (N, C, ...).

    The mean is that of the batch in training, and `running_mean` follows it in place, as a batch norm's does. Otherwise
    the mean is `running_mean`.
    """
    mean = running_mean
    if training:
        mean = x.to(at_least_float32(x.dtype)).mean((0, *range(2, x.ndim)))
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
    shift = -mean if bias is None else bias - mean
    return x + shift.view(1, -1, *(1,) * (x.ndim - 2)).to(x.dtype)


class MeanOnlyBatchNorm(nn.Module):
    """y = x - mean + beta, with the mean of the batch in training and a running mean in evaluation.

    It does not take the scale of its input away. So no weight in front of it is scale-invariant, and the layers in
    front have to bound their weight themselves, as BWN does. In a distributed run each process takes its own mean.

    Args:
        momentum: how far one batch moves the running mean.
        bias: learn beta, which begins at 0.
    """

    running_mean: Tensor
    bias: nn.Parameter | None

    def __init__(
        self,
        num_features: int,
        momentum: float = 0.1,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum is a share and must lie between 0 and 1, got {momentum}")
        self.num_features, self.momentum = num_features, momentum
        self.register_buffer("running_mean", torch.zeros(num_features, device=device, dtype=dtype))
        zeros = torch.zeros(num_features, device=device, dtype=dtype)
        self.register_parameter("bias", nn.Parameter(zeros) if bias else None)

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.running_mean)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"expected input (N, {self.num_features}, ...), got {tuple(x.shape)}")
        return mean_only_batch_norm(x, self.running_mean, self.bias, self.training, self.momentum)

    def extra_repr(self) -> str:
        return f"{self.num_features}, momentum={self.momentum}, bias={self.bias is not None}"
