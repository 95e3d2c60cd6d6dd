"""What a training writes on its way: norms, rates, loss and accuracy in norms.jsonl, and checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from normreg_plugins.monitor import JsonLinesSink, Monitor

Score = Callable[[], float]


class OnTheWay:
    """`looks` times over a training of so many updates, and `checkpoints` times, both evenly spaced."""

    def __init__(
        self,
        folder: Path | None,
        optimizer: torch.optim.Optimizer,
        model: nn.Module,
        updates: int,
        looks: int,
        checkpoints: int,
    ) -> None:
        self._folder, self._model = folder, model
        self._looks, self._saves = (_ends(updates, count if folder else 0) for count in (looks, checkpoints))
        if folder is not None and looks:
            self._sink = JsonLinesSink(folder / "norms.jsonl")
            Monitor(optimizer, model, max(1, updates // looks), sinks=[self._sink], warn=None)

    def after(self, update: int, loss: Tensor, score: Score) -> None:
        if update in self._looks:
            self._sink.write(update, loss=loss.item(), accuracy=score())
            self._model.train()
        if update in self._saves and self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            torch.save({"state_dict": self._model.state_dict()}, self._folder / f"update_{update}.pth")


def _ends(updates: int, count: int) -> set[int]:
    return {max(1, round(updates * part / count)) for part in range(1, count + 1)}
