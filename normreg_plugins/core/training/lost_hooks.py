"""Know which optimizers a method is attached to, and warn of copies that lost it.

An optimizer that is copied or pickled loses its hooks, but keeps its `defaults`, its `state` and its groups. These
show that it is a copy.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from normreg_plugins.core.errors import PluginLostWarning
from normreg_plugins.core.training.saved_entry import STATE_KEY

# Weak on both sides: a handle lives as long as its hooks on the optimizer do.
_attached: weakref.WeakKeyDictionary[Optimizer, weakref.ref[Any]] = weakref.WeakKeyDictionary()
_told: weakref.WeakSet[Optimizer] = weakref.WeakSet()


def remember(optimizer: Optimizer, handle: Any) -> None:
    _attached[optimizer] = weakref.ref(handle)
    optimizer.defaults[STATE_KEY] = True


def forget(optimizer: Optimizer) -> bool:
    """Whether a method was attached."""
    optimizer.defaults.pop(STATE_KEY, None)
    return _attached.pop(optimizer, None) is not None


def attached_to(optimizer: Optimizer) -> Any:
    found = _attached.get(optimizer)
    return None if found is None else found()


def _tell_if_lost(optimizer: Optimizer, *_: Any) -> None:
    """Runs after the step of any optimizer of this process."""
    if optimizer in _attached or optimizer in _told:
        return
    if STATE_KEY in optimizer.defaults or STATE_KEY in optimizer.state or STATE_KEY in optimizer.param_groups[0]:
        _told.add(optimizer)
        warnings.warn(
            f"A method was attached to the optimizer that this {type(optimizer).__name__} was copied or resumed from. "
            "It does not act on this one, because copying and pickling lose optimizer hooks. Call attach() on it; or, "
            f"to train on without the method, `optimizer.param_groups[0].pop({STATE_KEY!r}, None)`.",
            PluginLostWarning,
            stacklevel=2,
        )


register_optimizer_step_post_hook(_tell_if_lost)
