"""The layer that takes the place of a norm layer: scale, bias, and noise during training."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, distributed, nn

from normreg_plugins.core.errors import SelectionError

# Along which axes the noise differs.
GRANULARITIES: dict[str, Collection[int]] = {
    "sample_channel": (0, 1),
    "channel": (1,),
    "element": range(sys.maxsize),
}


class ScaleBias(nn.Module):
    """y = (1 + n) gamma x + beta, n ~ N(0, sigma^2) in training only (constrained paper, eq. 6-7).

    gamma and beta are called `weight` and `bias`, as in a batch norm. The input is (N, C, ...) with any number of axes.
    The noise comes from the default generator of x's device. So the same seed gives the same noise, and activation
    checkpointing draws the same noise again. Every process of a distributed run has noise of its own, even if all
    processes have the same seed.

    Args:
        sigma: noise level; `assign_linear_sigma` gives each layer its own (eq. 8).
        granularity: what has a noise of its own: each channel of each sample, each channel of the batch, or each
            element. The paper does not say.
    """

    is_scale_bias = True
    """Core recognizes such a layer by this attribute."""

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
        """Standard normal of x's shape, with 1 for each axis along which the noise is shared.

        Processes with the same seed draw the same numbers. So each process draws for all of them and keeps its own.
        With 'element' that would be too much. There all processes draw the same two noises, and each process mixes them
        by angles of its own, one for each channel of each sample. Noise of different processes is uncorrelated.
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
        raise ValueError(f"sigma is a standard deviation: finite and at least 0, got {sigma}")
    return float(sigma)


def assign_linear_sigma(model: nn.Module, sigma: float) -> dict[str, float]:
    """Give layer l of L the noise l / L * sigma (eq. 8), and return what each was given.

    The paper uses it for residual networks. Layers are numbered as `named_modules()` lists them, which is the order in
    which they were built.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, ScaleBias)}
    if not layers:
        raise SelectionError(f"{type(model).__name__} has no ScaleBias layer to give noise to")
    for number, layer in enumerate(layers.values(), start=1):
        layer.sigma = number / len(layers) * checked_sigma(sigma)
    return {name: layer.sigma for name, layer in layers.items()}


@torch.no_grad()
def zero_scales_(model: nn.Module, names: Iterable[str]) -> list[str]:
    """Set gamma to 0 in the layers of these names or patterns (`fnmatch`), and return their names.

    Use it for the last layer of each residual branch, so that every block begins as its shortcut. With c = 2 a layer
    keeps the variance of its input (eq. 4). So each branch that is added would double the variance, and no norm layer
    undoes that.
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

    The paper decays the weights and leaves gamma and beta alone (section 4.1.1).
    """
    spared = {p for m in model.modules() if isinstance(m, ScaleBias) for p in m.parameters()}
    flat = [p for p in model.parameters() if p in spared]
    rest = [p for p in model.parameters() if p not in spared]
    return [
        {"params": rest, "weight_decay": weight_decay},
        {"params": flat, "weight_decay": scale_bias_decay},
    ]
