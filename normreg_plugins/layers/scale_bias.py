"""Layers that replace norm layers: scale and bias with noise (PGD), and mean-only batch norm (BWN)."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, distributed, nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import at_least_float32


class ScaleBias(nn.Module):
    """y = (1 + n) gamma x + beta, n ~ N(0, sigma^2) in training only (constrained paper, eq. 6-7).

    gamma and beta are called `weight` and `bias`, as in a batch norm. The input is (N, C, ...) with any number of axes.
    The paper indexes n by channel and means it as the noise of batch statistics, which a batch shares. Here each
    channel of each sample has its own, so a batch averages over it. It comes from the default generator of x's device,
    so the same seed gives the same noise, and activation checkpointing draws the same noise again. In a distributed run
    the noise differs between processes, even if they share a seed.

    Args:
        sigma: noise level; `assign_linear_sigma` sets one per layer (eq. 8).
    """

    is_scale_bias = True
    """Core recognizes a scale-bias layer by this attribute."""
    lost_variance: Tensor | None = None
    """The running variance in the state that was loaded last: it was a batch norm's, and the layer cannot keep it."""

    def __init__(
        self,
        num_features: int,
        sigma: float = 0.0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.sigma = checked_sigma(sigma)
        self.weight = nn.Parameter(torch.ones(num_features, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(num_features, device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"expected input (N, {self.num_features}, ...), got {tuple(x.shape)}")
        channels = (1, -1, *(1,) * (x.ndim - 2))
        gamma, beta = self.weight.view(channels), self.bias.view(channels)
        if self.training and self.sigma > 0:
            gamma = gamma * (1 + self.sigma * self._noise(x))
        return (gamma * x + beta).to(x.dtype)  # under autocast x is half and gamma is not

    def _noise(self, x: Tensor) -> Tensor:
        """Standard normal for each channel of each sample.

        Processes with the same seed draw the same numbers. So each process draws for all of them and uses its part.
        """
        shape = (*x.shape[:2], *(1,) * (x.ndim - 2))
        settings: Any = {"device": x.device, "dtype": self.weight.dtype}
        if distributed.is_available() and distributed.is_initialized():
            return torch.randn(distributed.get_world_size(), *shape, **settings)[distributed.get_rank()]
        return torch.randn(shape, **settings)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        self.lost_variance = state_dict.get(f"{prefix}running_var")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        return f"{self.num_features}, sigma={self.sigma}"


def checked_sigma(sigma: float) -> float:
    if not 0 <= sigma < float("inf"):
        raise ValueError(f"sigma={sigma}: a standard deviation must be finite and at least 0")
    return float(sigma)


def _scale_biases(model: nn.Module) -> dict[str, ScaleBias]:
    return {name: m for name, m in model.named_modules() if isinstance(m, ScaleBias)}


def assign_linear_sigma(model: nn.Module, sigma: float) -> dict[str, float]:
    """Set the noise of layer l of L to l / L * sigma (eq. 8), and return the sigma of each layer by name.

    The paper does so for residual networks. Layers are numbered in the order of `named_modules()`, in which they were
    built.
    """
    layers = _scale_biases(model)
    if not layers:
        raise SelectionError(f"{type(model).__name__} has no ScaleBias layer")
    for number, layer in enumerate(layers.values(), start=1):
        layer.sigma = number / len(layers) * checked_sigma(sigma)
    return {name: layer.sigma for name, layer in layers.items()}


@torch.no_grad()
def zero_scales_(model: nn.Module, names: Iterable[str]) -> list[str]:
    """Set gamma to 0 in the layers of these names or patterns (`fnmatch`), and return their names.

    Use it for the last layer of each residual branch, so that every block starts as its shortcut. With c = 2 a layer
    preserves the variance of its input (eq. 4). So each added branch would double the variance, and no norm layer
    normalizes it.
    """
    layers = _scale_biases(model)
    zeroed: dict[str, ScaleBias] = {}
    for pattern in names:
        found = {name: layer for name, layer in layers.items() if fnmatchcase(name, pattern)}
        if not found:
            raise SelectionError(f"{pattern!r} matches none of the ScaleBias layers {', '.join(layers) or '(none)'}")
        zeroed.update(found)
    for layer in zeroed.values():
        layer.weight.zero_()
    return list(zeroed)


class MeanOnlyBatchNorm(nn.Module):
    """y = x - mean + beta, with the mean of the batch in training and a running mean in evaluation.

    See Salimans & Kingma 2016, section 3. It does not normalize the scale of its input. So no weight before it is
    scale-invariant, and the layers before it have to bound their weights themselves, as BWN does (Hoffer et al. 2018;
    WRS paper, Fig. 6b). In a distributed run each process uses its own mean.

    Args:
        momentum: the weight of one batch in the running mean.
        bias: learn beta, initialized to 0.
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
            raise ValueError(f"momentum={momentum}: must be between 0 and 1")
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
        mean = self.running_mean
        if self.training:
            mean = x.to(at_least_float32(x.dtype)).mean((0, *range(2, x.ndim)))
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        shift = -mean if self.bias is None else self.bias - mean
        return x + shift.view(1, -1, *(1,) * (x.ndim - 2)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{self.num_features}, momentum={self.momentum}, bias={self.bias is not None}"
