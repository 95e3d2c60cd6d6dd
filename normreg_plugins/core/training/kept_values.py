"""What a method keeps of each weight from its start on, such as its filter norms. Every checkpoint carries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.methods import Target
from normreg_plugins.core.training.saved_entry import STATE_KEY

ENTRY = "kept"


class KeptValues:
    """Puts `target.kept` of every target into the optimizer's state, and takes it back from there.

    The state holds it from the first update on. Before that update a method starts anew when a state is loaded.
    """

    def __init__(self, optimizer: Optimizer, targets: Sequence[Target], keeps: Sequence[str]) -> None:
        self._optimizer, self._targets, self._keeps = optimizer, targets, keeps
        self._handle = optimizer.register_load_state_dict_post_hook(lambda _: self._read())
        self._read()  # the state may have been loaded, or copied, before the method was attached

    @property
    def _ours(self) -> dict[str, Any] | None:
        state: dict[Any, Any] = self._optimizer.state
        return state.get(STATE_KEY)

    def forget(self) -> None:
        self._handle.remove()

    def saved(self) -> dict[str, Any]:
        """What a saved state carries of it, as an entry of ours."""
        kept = {target.name: dict(target.kept) for target in self._targets if target.kept}
        return {ENTRY: kept} if kept else {}

    def write(self) -> None:
        """Put the dicts themselves into the state, so that a copy of the optimizer has what the method keeps now."""
        if self._ours is None or ENTRY in self._ours:
            return
        kept = {target.name: target.kept for target in self._targets if target.kept}
        if kept:
            self._ours[ENTRY] = kept

    def _read(self) -> None:
        if self._ours is None:
            return
        saved = self._ours.pop(ENTRY, {})
        for target in self._targets:
            ours = _tensors(saved, target)
            missing = [key for key in self._keeps if key not in ours]
            if missing:
                raise NormRegError(
                    f"{target.name}: the loaded state lacks {', '.join(missing)}, which the method keeps from its "
                    "start on. A run with another method or radius saved it: attach that one, or begin a new run."
                )
            target.kept.update({key: value.to(target.weight.device, copy=True) for key, value in ours.items()})
        self.write()


def _tensors(saved: Any, target: Target) -> dict[str, Tensor]:
    """What a loaded state has for a target; nothing that is no tensor of the shape that is kept now."""
    found = saved.get(target.name) if isinstance(saved, dict) else None
    shapes = {key: value.shape for key, value in target.kept.items()}
    return {
        key: value
        for key, value in (found.items() if isinstance(found, dict) else ())
        if isinstance(value, Tensor) and value.shape == shapes.get(key, value.shape)
    }
