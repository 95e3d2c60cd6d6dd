"""Layers that replace norm layers: scale and bias with noise (PGD), and mean-only batch norm (BWN)."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, distributed, nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import at_least_float32

# Along which axes the noise differs.
GRANULARITIES: dict[str, Collection[int]] = {
    "sample_channel": (0, 1),
    "channel": (1,),
    "element": range(sys.maxsize),
}


class ScaleBias(nn.Module):
    """y = (1 + n) gamma x + beta, n ~ N(0, sigma^2) in training only (constrained paper, eq. 6-7).

    gamma and beta are called `weight` and `bias`, as in a batch norm. The input is (N, C, ...) with any number of axes.
    The noise comes from the default generator of x's device, so the same seed gives the same noise, and activation
    checkpointing draws the same noise again. In a distributed run the noise differs between processes, even if they
    share a seed.

    Args:
        sigma: noise level; `assign_linear_sigma` sets one per layer (eq. 8).
        granularity: draw one number for each channel of each sample, for each channel, or for each element. The paper
            does not say.
    """

    is_scale_bias = True
    """Core recognizes a scale-bias layer by this attribute."""

    def __init__(
        self,
        num_features: int,
        sigma: float = 0.0,
        granularity: str = "sample_channel",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if granularity not in GRANULARITIES:
            raise ValueError(f"granularity {granularity!r} is not one of {[*GRANULARITIES]}")
        self.num_features = num_features
        self.sigma = checked_sigma(sigma)
        self.granularity = granularity
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
        """Standard normal of x's shape, with size 1 for each axis along which the noise is shared.

        Processes with the same seed draw the same numbers. So each process draws for all of them and uses its part.
        For 'element' that would be too much: all processes draw the same two noises, and each process mixes them by its
        own angles, one for each channel of each sample. The noise of different processes is uncorrelated.
        """
        own_axes = GRANULARITIES[self.granularity]
        shape = [size if axis in own_axes else 1 for axis, size in enumerate(x.shape)]
        settings: Any = {"device": x.device, "dtype": self.weight.dtype}
        rank, processes = _rank_and_processes()
        if processes == 1:
            return torch.randn(shape, **settings)
        if self.granularity != "element":
            return torch.randn(processes, *shape, **settings)[rank]
        channels = (*x.shape[:2], *(1,) * (x.ndim - 2))
        angles = torch.rand(processes, *channels, **settings)[rank] * (2 * math.pi)
        return angles.cos() * torch.randn(shape, **settings) + angles.sin() * torch.randn(shape, **settings)

    def extra_repr(self) -> str:
        return f"{self.num_features}, sigma={self.sigma}, granularity={self.granularity!r}"


def _rank_and_processes() -> tuple[int, int]:
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def checked_sigma(sigma: float) -> float:
    if not 0 <= sigma < float("inf"):
        raise ValueError(f"sigma={sigma}: a standard deviation must be finite and at least 0")
    return float(sigma)


def assign_linear_sigma(model: nn.Module, sigma: float) -> dict[str, float]:
    """Set the noise of layer l of L to l / L * sigma (eq. 8), and return the sigma of each layer by name.

    The paper does so for residual networks. Layers are numbered in the order of `named_modules()`, in which they were
    built.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, ScaleBias)}
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
    layers = {name: m for name, m in model.named_modules() if isinstance(m, ScaleBias)}
    zeroed: dict[str, ScaleBias] = {}
    for pattern in names:
        found = {name: layer for name, layer in layers.items() if fnmatchcase(name, pattern)}
        if not found:
            raise SelectionError(f"{pattern!r} matches none of the ScaleBias layers {', '.join(layers) or '(none)'}")
        zeroed.update(found)
    for layer in zeroed.values():
        layer.weight.zero_()
    return list(zeroed)


def weight_decay_groups(model: nn.Module, weight_decay: float, scale_bias_decay: float = 0.0) -> list[dict[str, Any]]:
    """Two parameter groups for any optimizer: gamma and beta of every ScaleBias, and the rest.

    The paper applies weight decay to the weights, and none to gamma and beta (section 4.1.1).
    """
    exempt = {p for m in model.modules() if isinstance(m, ScaleBias) for p in m.parameters()}
    flat = [p for p in model.parameters() if p in exempt]
    rest = [p for p in model.parameters() if p not in exempt]
    return [
        {"params": rest, "weight_decay": weight_decay},
        {"params": flat, "weight_decay": scale_bias_decay},
    ]


def mean_only_batch_norm(
    x: Tensor, running_mean: Tensor, bias: Tensor | None = None, training: bool = False, momentum: float = 0.1
) -> Tensor:
    """y = x - mean + beta, for each channel of x (N, C, ...) (Salimans & Kingma 2016, section 3).

    In training the mean is that of the batch, and `running_mean` is updated in place, as in a batch norm. Otherwise the
    mean is `running_mean`.
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

    It does not normalize the scale of its input. So no weight before it is scale-invariant, and the layers before it
    have to bound their weights themselves, as BWN does (Hoffer et al. 2018; WRS paper, Fig. 6b). In a distributed run
    each process uses its own mean.

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
        return mean_only_batch_norm(x, self.running_mean, self.bias, self.training, self.momentum)

    def extra_repr(self) -> str:
        return f"{self.num_features}, momentum={self.momentum}, bias={self.bias is not None}"
