"""Know which optimizers a method is attached to, and tell of copies that lost it."""

from __future__ import annotations

import warnings
import weakref
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from normreg_plugins.core.clock import STATE_KEY
from normreg_plugins.core.errors import PluginLostWarning

if TYPE_CHECKING:
    from normreg_plugins.core.handle import Handle

# A handle lives as long as its hooks on the optimizer do; to hold it here would keep both alive for ever.
_attached: weakref.WeakKeyDictionary[Optimizer, weakref.ref[Handle]] = weakref.WeakKeyDictionary()
_told: weakref.WeakSet[Optimizer] = weakref.WeakSet()


def remember(optimizer: Optimizer, handle: Handle) -> None:
    """Hooks are lost when an optimizer is copied or pickled, `defaults` are not: so a copy can be told."""
    _attached[optimizer] = weakref.ref(handle)
    optimizer.defaults[STATE_KEY] = True


def forget(optimizer: Optimizer) -> bool:
    """Whether a method was attached."""
    optimizer.defaults.pop(STATE_KEY, None)
    return _attached.pop(optimizer, None) is not None


def handle_of(optimizer: Optimizer) -> Handle | None:
    found = _attached.get(optimizer)
    return None if found is None else found()


def _tell_if_lost(optimizer: Optimizer, *_: Any) -> None:
    """Runs after the step of any optimizer of this process."""
    if optimizer in _attached or optimizer in _told:
        return
    if STATE_KEY in optimizer.defaults or STATE_KEY in optimizer.state:
        _told.add(optimizer)
        warnings.warn(
            f"This {type(optimizer).__name__} is a copy of one that a method was attached to, or was resumed from it, "
            "and the method does not act on it: copying and pickling lose optimizer hooks. Call attach() on it; or, to "
            f"train on without, `optimizer.state.pop({STATE_KEY!r}, None)`.",
            PluginLostWarning,
            stacklevel=2,
        )


register_optimizer_step_post_hook(_tell_if_lost)
