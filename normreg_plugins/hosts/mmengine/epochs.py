"""How many updates an mmengine epoch has, for methods whose phase is given in epochs."""

from __future__ import annotations

import ast
from collections.abc import Callable

from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper

from normreg_plugins.core.errors import AttachError


def updates_per_epoch(wrapper: OptimWrapper) -> Callable[[], float]:
    """How to learn it once training runs; it may be no whole number where gradients are accumulated."""

    def ask() -> float:
        hub = MessageHub.get_current_instance()
        epochs, iterations = hub.get_info("max_epochs"), hub.get_info("max_iters")
        if not epochs or not _counts_epochs(epochs, hub.get_info("cfg", "")):
            raise AttachError(
                f"the method's phase is in epochs, but this loop only counts iterations ({iterations}): give begin and "
                "end in updates (unit='update')"
            )
        return iterations / epochs / wrapper._accumulative_counts

    return ask


def _counts_epochs(epochs: int, config: str) -> bool:
    """A loop by iterations calls itself one epoch, so a single epoch is only believed if the config says so."""
    if epochs > 1:
        return True
    settings = [s for s in ast.parse(config).body if isinstance(s, ast.Assign)]
    loop = "".join(ast.unparse(s.value) for s in settings if ast.unparse(s.targets[0]) == "train_cfg")
    return "by_epoch=True" in loop or "EpochBasedTrainLoop" in loop
