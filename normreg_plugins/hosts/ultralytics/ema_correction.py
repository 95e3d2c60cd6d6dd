"""The trainer's moving average, corrected while it is evaluated or saved, and then restored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core import Handle
from normreg_plugins.core.model import evaluation_mode, keeps_channel_statistics
from normreg_plugins.core.training import measuring_statistics, takes_means

BATCHES = 10
"""Statistics are measured on this many of the last training batches."""


class AverageCorrection:
    """Gives the average the filter norms of the trained model, and statistics measured on the last training batches.

    The average's own running statistics belong to other filters. Batches are stored as they were loaded: as bytes in
    CPU memory.
    """

    def __init__(self) -> None:
        self._batches: deque[dict[str, Any]] = deque(maxlen=BATCHES)
        self._corrected: list[Tensor] | None = None
        """The result of the last correction, until another batch is trained on."""

    def remember(self, batch: dict[str, Any]) -> None:
        """A batch to be trained on, before the trainer puts other tensors into it."""
        self._batches.append(dict(batch))
        self._corrected = None

    @contextmanager
    def on(
        self, average: nn.Module, model: nn.Module, handle: Handle, see: Callable[[nn.Module, dict[str, Any]], Any]
    ) -> Iterator[None]:
        """Correct the average, and restore it at the end, so that evaluating it does not change it.

        Tensors with NaN or Inf are not restored, because the trainer repairs them when it saves.

        Args:
            see: runs a forward of the model it is given on a batch it is given, which it may change.
        """
        values = [*(average.get_parameter(name) for name in handle.targets), *_statistics(average)]
        averaged = _copies(values)
        try:
            if self._corrected is None:
                handle.correct_average(average)
                self._measure(average, model, see)
                self._corrected = _copies(values)
            else:
                _copy(self._corrected, values)
            yield
        finally:
            _copy([before if before.isfinite().all() else now for before, now in zip(averaged, values)], values)

    @torch.no_grad()
    def _measure(self, average: nn.Module, model: nn.Module, see: Callable[..., Any]) -> None:
        """Measure the norm layers that follow their batches in training; all else runs as in evaluation.

        Norm layers that are frozen, or that only a training forward reaches, have the trained model's statistics.
        """
        trained = dict(model.named_modules())
        norms = [norm for name, norm in average.named_modules() if takes_means(norm) and trained[name].training]
        with evaluation_mode(average), measuring_statistics(norms):
            for batch in self._batches:
                see(average, dict(batch))


def _statistics(model: nn.Module) -> Iterator[Tensor]:
    for norm in filter(keeps_channel_statistics, model.modules()):
        yield from norm.buffers(recurse=False)


def _copies(values: list[Tensor]) -> list[Tensor]:
    return [value.detach().clone() for value in values]


@torch.no_grad()
def _copy(values: list[Tensor], into: list[Tensor]) -> None:
    for value, other in zip(values, into, strict=True):
        other.copy_(value)
