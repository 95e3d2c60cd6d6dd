"""The trainer's moving average, a correct network for as long as it is looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from normreg_plugins.core import Handle
from normreg_plugins.core.parts import keeps_channel_statistics
from normreg_plugins.core.preserve import same_randomness

BATCHES = 10
"""Statistics are measured on so many of the last ones."""


class AverageCorrection:
    """Lengths from the trained model and statistics measured on the last training batches.

    The running statistics that come with the average are an average too, of those of other filters. Batches are kept
    as they were loaded: on the host, and small.
    """

    def __init__(self) -> None:
        self._batches: deque[dict[str, Any]] = deque(maxlen=BATCHES)
        self._corrected: list[Tensor] | None = None
        """What the last correction came to, until a batch is trained on."""

    def remember(self, batch: dict[str, Any]) -> None:
        """A batch to be trained on, before the trainer puts other tensors into it."""
        self._batches.append(dict(batch))
        self._corrected = None

    @contextmanager
    def on(
        self, average: nn.Module, model: nn.Module, handle: Handle, see: Callable[[nn.Module, dict[str, Any]], Any]
    ) -> Iterator[None]:
        """A correct network while it is evaluated or saved, then the running average again.

        So what is averaged does not depend on how often one looks. Tensors that held NaN or Inf keep what they have got
        meanwhile, for the trainer heals them when it saves.

        Args:
            see: runs a forward of the model it is given on a batch it is given, which it may change.
        """
        values = [*(average.get_parameter(name) for name in handle.targets), *_statistics(average)]
        kept = _copies(values)
        try:
            if self._corrected is None:
                handle.correct_average(average)
                self._measure(average, model, see)
                self._corrected = _copies(values)
            else:
                _copy(self._corrected, values)
            yield
        finally:
            _copy([before if before.isfinite().all() else now for before, now in zip(kept, values)], values)

    @torch.no_grad()
    def _measure(self, average: nn.Module, model: nn.Module, see: Callable[..., Any]) -> None:
        """Norms that follow their batches in training get the mean over these; all else runs as in evaluation.

        A norm that is frozen, or that only a training forward reaches, keeps the statistics of the trained model.
        """
        trained = dict(model.named_modules())
        norms = [norm for name, norm in average.named_modules() if _counts(norm) and trained[name].training]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.num_batches_tracked.zero_()  # without a momentum, the first batch replaces what is there
            norm.momentum = None
            norm.train()
        try:
            with same_randomness():
                for batch in self._batches:
                    see(average, dict(batch))
        finally:
            for norm, momentum in zip(norms, momenta):
                norm.momentum = momentum
                norm.eval()


def _counts(module: nn.Module) -> bool:
    """Whether it is a norm that can take a mean over batches."""
    return isinstance(module, _BatchNorm) and module.num_batches_tracked is not None


def _statistics(model: nn.Module) -> Iterator[Tensor]:
    for norm in filter(keeps_channel_statistics, model.modules()):
        yield from norm.buffers(recurse=False)


def _copies(values: list[Tensor]) -> list[Tensor]:
    return [value.detach().clone() for value in values]


@torch.no_grad()
def _copy(values: list[Tensor], into: list[Tensor]) -> None:
    for value, other in zip(values, into, strict=True):
        other.copy_(value)
