"""How many updates an mmengine epoch has, for methods whose phase is given in epochs."""

from __future__ import annotations

import ast
from collections.abc import Callable

from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper

from normreg_plugins.core.errors import AttachError
from normreg_plugins.hosts.mmengine.config_text import setting, types_in


def updates_per_epoch(wrapper: OptimWrapper) -> Callable[[], float]:
    """A callable that gives it once training runs. It may be a fraction if gradients are accumulated."""

    def ask() -> float:
        hub = MessageHub.get_current_instance()
        epochs, iterations = hub.get_info("max_epochs"), hub.get_info("max_iters")
        if not epochs or not _counts_epochs(epochs):
            raise AttachError(
                f"the method's phase is in epochs, but this loop only counts iterations ({iterations}): give begin and "
                "end in updates (unit='update')"
            )
        return iterations / epochs / wrapper._accumulative_counts

    return ask


def _counts_epochs(epochs: int) -> bool:
    """A loop by iterations calls itself one epoch. So a single epoch counts only if the config says so."""
    loop = setting("train_cfg")
    if epochs > 1 or loop is None:
        return epochs > 1
    return "by_epoch=True" in ast.unparse(loop) or "EpochBasedTrainLoop" in types_in(loop)
