"""What a method must remember when a run is resumed: how many updates were made, and tensors of single weights.

All of it is one entry of the optimizer's first parameter group, so that every checkpoint of the optimizer carries it:

    {"updates": 12, "weights": {"conv.weight": {"radius": tensor(...)}}}

It is not in `optimizer.state`, because schedulers, wrappers and torch's distributed checkpoints (DCP) take each key
there for a parameter. DCP loads only the keys that a group already has, so the entry exists from the start.
"""

from __future__ import annotations

import re
import warnings
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from normreg_plugins.core.errors import NormRegError, PluginLostWarning
from normreg_plugins.core.methods import Method, Target
from normreg_plugins.core.options import is_count, require
from normreg_plugins.core.training.selection import held_by, waits_for

STATE_KEY = "normreg_plugins"

_WRAPPERS = re.compile(r"^module\.|\b_orig_mod\.")
"""What DDP and torch.compile put into the name of a parameter."""


class State:
    """The entry of one optimizer. If a method was detached from it before, its count goes on.

    A state that lacks one of the method's `state_keys` is refused on resume.
    """

    def __init__(self, optimizer: Optimizer, targets: Sequence[Target], method: Method) -> None:
        self._optimizer, self._targets, self._keys = optimizer, targets, method.state_keys
        self._owner = type(method), method.per
        self._hooks = [
            optimizer.register_load_state_dict_pre_hook(lambda _, saved: _check(saved["param_groups"][0])),
            optimizer.register_load_state_dict_post_hook(lambda _: self._read()),
        ]
        _check(self._group)
        left = _detached.pop(optimizer, None)
        if left is not None and left.group is self._group:
            self._go_on(left)
        else:
            self._read()  # a state may have been loaded, or the optimizer copied, before the method was attached

    @property
    def updates(self) -> int:
        return int(self._group[STATE_KEY]["updates"])

    def count(self) -> int:
        """Counts an update. Returns its number, from 1 on."""
        self._group[STATE_KEY] = {**self._group[STATE_KEY], "updates": self.updates + 1}
        return self.updates

    def write(self) -> None:
        """Puts what the method remembers of the weights into the entry."""
        weights = {target.name: target.state for target in self._targets if target.state}
        self._group[STATE_KEY] = {"updates": self.updates, **({"weights": weights} if weights else {})}

    def remove(self) -> None:
        """Leaves a plain optimizer."""
        for hook in self._hooks:
            hook.remove()
        _detached[self._optimizer] = _Left(self._group, self._group.pop(STATE_KEY), self._owner)

    @property
    def _group(self) -> dict[str, Any]:
        return self._optimizer.param_groups[0]

    def _go_on(self, left: _Left) -> None:
        """The count of a method that was detached, and its tensors if this one is of the same kind."""
        self._group[STATE_KEY] = {"updates": left.entry["updates"]}
        saved = left.entry.get("weights", {}) if left.owner == self._owner else {}
        for target in self._targets:
            target.started = target.name in saved and not self._take(target, saved[target.name])

    def _read(self) -> None:
        entry = self._group.setdefault(STATE_KEY, {"updates": 0})
        if entry["updates"]:  # at 0 the method starts anew
            found = entry.get("weights")
            saved = self._renamed(found) if isinstance(found, dict) else {}
            held = held_by(self._optimizer)
            ours = any(target.name in saved for target in self._targets)
            for target in self._targets:
                trained = not waits_for(target.weight, held)
                if target.name in saved or (trained and not ours):
                    self._require(target, self._take(target, saved.get(target.name)))
                    target.started = True
                else:  # with a method that remembers something, it was not trained when the state was saved
                    target.started = trained and not self._keys
                    target.state.clear()
        self.write()

    def _renamed(self, saved: dict[str, Any]) -> dict[str, Any]:
        """As the weights are called now: the run may go on with or without DDP or torch.compile around the model."""
        plain = {_WRAPPERS.sub("", name): of for name, of in saved.items()}
        names = {target.name: _WRAPPERS.sub("", target.name) for target in self._targets}
        return {name: plain[bare] for name, bare in names.items() if bare in plain} | saved

    def _take(self, target: Target, saved: Any) -> list[str]:
        """Takes what is usable of a saved weight's state. Returns the keys that it lacks."""
        shapes = {key: value.shape for key, value in target.state.items()}
        usable = {
            key: value
            for key, value in (saved.items() if isinstance(saved, dict) else ())
            if isinstance(value, Tensor) and value.shape == shapes.get(key, value.shape)
        }
        target.state.update({key: value.to(target.weight.device, copy=True) for key, value in usable.items()})
        return [key for key in self._keys if key not in usable]

    def _require(self, target: Target, missing: list[str]) -> None:
        if missing:
            raise NormRegError(
                f"{target.name}: the loaded state lacks {', '.join(missing)}. It was saved by another method or with "
                "another radius: attach that one, or start a new run."
            )


def _check(group: dict[str, Any]) -> None:
    entry = group.get(STATE_KEY, {"updates": 0})
    updates = entry.get("updates") if isinstance(entry, dict) else None
    require(is_count(updates, 0), "updates", updates, "a whole number in the state that is loaded; is it damaged?")


class _Left(NamedTuple):
    """What a detached method leaves."""

    group: dict[str, Any]
    """The first parameter group. Another one means that a state was loaded since."""
    entry: dict[str, Any]
    owner: tuple[type[Method], str]


# Weak on both sides: a handle lives as long as its hooks on the optimizer do.
_attached: weakref.WeakKeyDictionary[Optimizer, weakref.ref[Any]] = weakref.WeakKeyDictionary()
_warned: weakref.WeakSet[Optimizer] = weakref.WeakSet()
_detached: weakref.WeakKeyDictionary[Optimizer, _Left] = weakref.WeakKeyDictionary()


def remember(optimizer: Optimizer, handle: Any) -> None:
    _attached[optimizer] = weakref.ref(handle)


def forget(optimizer: Optimizer) -> bool:
    """Whether a method was attached."""
    return _attached.pop(optimizer, None) is not None


def attached_to(optimizer: Optimizer) -> Any:
    found = _attached.get(optimizer)
    return None if found is None else found()


def _warn_of_copy(optimizer: Optimizer, *_: Any) -> None:
    """Runs after the step of any optimizer. A copied or pickled optimizer keeps the entry but loses its hooks."""
    group = optimizer.param_groups[0]
    if STATE_KEY not in group or optimizer in _attached or optimizer in _warned:
        return
    if any(group is other.param_groups[0] for other in _attached):
        return  # a wrapper around the optimizer that the method is attached to
    _warned.add(optimizer)
    warnings.warn(
        f"This {type(optimizer).__name__} is a copy of an optimizer with a method attached, or loaded a state of one, "
        "but no method acts on it: copying and pickling lose optimizer hooks. Call attach() on it. To train without "
        f"the method, call `optimizer.param_groups[0].pop({STATE_KEY!r})`.",
        PluginLostWarning,
        stacklevel=2,
    )


register_optimizer_step_post_hook(_warn_of_copy)
