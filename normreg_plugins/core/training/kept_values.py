"""What a method keeps of each weight from its start on, such as its filter norms. The optimizer's state carries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.methods import Target
from normreg_plugins.core.training.update_count import STATE_KEY

ENTRY = "kept"


class KeptValues:
    """Writes `target.kept` into the optimizer's state when that is saved, and back when it is loaded."""

    def __init__(self, optimizer: Optimizer, targets: Sequence[Target]) -> None:
        self._targets = targets
        self._handles = [
            optimizer.register_state_dict_pre_hook(self._write),
            optimizer.register_load_state_dict_post_hook(self._read),
        ]

    def forget(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _write(self, optimizer: Optimizer) -> None:
        """Only once there were updates: before the first one the method starts anew on loading."""
        state: dict[Any, Any] = optimizer.state
        kept = {target.name: dict(target.kept) for target in self._targets if target.kept}
        if kept and STATE_KEY in state:
            state[STATE_KEY][ENTRY] = kept

    def _read(self, optimizer: Optimizer) -> None:
        state: dict[Any, Any] = optimizer.state
        kept = state.get(STATE_KEY, {}).get(ENTRY, {})
        for target in self._targets if STATE_KEY in state else ():
            if target.kept and target.name not in kept:
                raise NormRegError(
                    f"{target.name}: the loaded state lacks {', '.join(target.kept)}, which the method keeps from its "
                    "start on. A run with another method or radius saved it: attach that one, or begin a new run."
                )
            target.kept.update(
                {key: value.to(target.weight.device) for key, value in kept.get(target.name, {}).items()}
            )
