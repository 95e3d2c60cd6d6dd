"""How far the running statistics of norm layers move."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import keeps_channel_statistics, norm_eps


class Drift(NamedTuple):
    """What happened to one norm layer's running statistics since the last report, as a mean over its channels.

    A method that rescales filters moves these statistics along on purpose, so its action is part of the drift.
    """

    mean: float
    """|mean - mean before| / sqrt(variance before + eps)."""
    variance: float
    """|ln((variance + eps) / (variance before + eps))|."""


class RunningStatistics:
    """Compares the running statistics of a model with those of the last look."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = {
            name: module
            for name, module in model.named_modules()
            if keeps_channel_statistics(module) and getattr(module, "running_mean", None) is not None
        }
        self._before: list[tuple[Tensor, Tensor]] = []

    @property
    def names(self) -> list[str]:
        return list(self._layers)

    @torch.no_grad()
    def drift(self) -> list[Tensor]:
        """Two numbers per norm layer, on its device; nothing at the first look."""
        found = []
        if self._before:
            for (mean, variance), layer in zip(self._before, self._layers.values()):
                eps = norm_eps(layer)
                shift = (layer.running_mean - mean).abs() / (variance + eps).sqrt()
                growth = ((layer.running_var + eps) / (variance + eps)).log().abs()
                found.append(torch.stack([shift.mean(), growth.mean()]))
        return found

    @torch.no_grad()
    def keep(self) -> None:
        """Remember the statistics of now for the next look."""
        self._before = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in self._layers.values()]

    def forget(self) -> None:
        self._before = []
