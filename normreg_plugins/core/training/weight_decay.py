"""Turn weight decay off for some parameters of an optimizer or for some updates, and on again."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.errors import AttachError, TrainingLoopWarning
from normreg_plugins.core.methods import DecayOn
from normreg_plugins.core.model import is_norm_layer, is_scale_bias, layers_of

logger = logging.getLogger("normreg_plugins")


def named_by(decay_on: DecayOn, model: nn.Module) -> list[Tensor]:
    """The parameters that `decay_on` names as those with weight decay; none for 'all' and 'others', which name none."""
    norm_layers: list[Any] = [m for m in model.modules() if is_norm_layer(m) or is_scale_bias(m)]
    if decay_on == "norm_layers":
        return [p for norm in norm_layers for p in norm.parameters(recurse=False)]
    if decay_on == "kernels_and_gammas":
        gammas = [norm.weight for norm in norm_layers if norm._parameters.get("weight") is not None]
        return [layer.weight for layer in layers_of(model)] + gammas
    return []


def spared_from_decay(model: nn.Module, decay_on: DecayOn, targets: Iterable[Tensor]) -> dict[int, Tensor]:
    """The parameters that get no weight decay, by id."""
    if decay_on == "all":
        return {}
    if decay_on == "others":
        return {id(target): target for target in targets}
    named = {id(p) for p in named_by(decay_on, model)}
    return {id(p): p for p in model.parameters() if id(p) not in named}


class WeightDecayOff:
    """Weight decay 0 for `parameters`, in as few parameter groups as it takes.

    Args:
        schedulers: those that exist already. Their values for a group that is split apply to both parts.
    """

    def __init__(self, optimizer: Optimizer, parameters: Iterable[Tensor], schedulers: Sequence[Any] = ()) -> None:
        self._optimizer = optimizer
        self._schedulers = schedulers
        self._spared = {id(parameter) for parameter in parameters}
        self._decays: dict[int, Any] = {}
        self.taken: dict[int, Any] = {}
        """The weight decay that parameters had before, by id."""
        self.split: list[tuple[int, int, dict[str, Any]]] = []
        """For each group that was split: its place, that of the group added, and what it listed before."""
        self._warned = False
        self.turn_off()
        self._handle = optimizer.register_load_state_dict_post_hook(self._enforce)

    def turn_off(self) -> None:
        """At the beginning, and again when a group was added to the optimizer."""
        optimizer = self._optimizer
        mixed = [(i, g) for i, g in enumerate(optimizer.param_groups) if g.get("weight_decay") and self._share(g)]
        for place, group in mixed:
            self.taken |= {id(group["params"][i]): group["weight_decay"] for i in self._share(group)}
            if len(self._share(group)) == len(group["params"]):
                self._decays[place] = group["weight_decay"]
                group["weight_decay"] = type(group["weight_decay"])(0)
            else:
                self._take_out(place, group)

    def _share(self, group: dict[str, Any]) -> list[int]:
        return [i for i, p in enumerate(group["params"]) if id(p) in self._spared]

    def _take_out(self, place: int, group: dict[str, Any]) -> None:
        """Moves spared parameters from a group that also has others to a group of their own."""
        if "initial_lr" in group and not self._schedulers:
            raise AttachError(
                f"parameter group {place} (weight decay {group['weight_decay']}) must be split, because some of its "
                "parameters lose their weight decay, but a learning rate scheduler already counts the groups. Attach "
                "before you create the scheduler, or pass it as schedulers=[...], or use decay_on='all'."
            )
        share = set(self._share(group))
        before = {key: list(group[key]) for key in _listed(group)}
        ours = {key: [v for i, v in enumerate(group[key]) if i in share] for key in _listed(group)}
        for key in _listed(group):
            group[key] = [v for i, v in enumerate(group[key]) if i not in share]
        added = {**group, **ours, "weight_decay": type(group["weight_decay"])(0)}
        for scheduler in self._schedulers:
            _grow(scheduler, place, len(self._optimizer.param_groups))
        self._optimizer.param_groups.append(added)
        logger.info(
            "parameter group %d was split: those of its parameters that have no weight decay now are group %d. Code "
            "that sets learning rates by hand must set them for every group.",
            place,
            len(self._optimizer.param_groups) - 1,
        )
        self.split.append((place, len(self._optimizer.param_groups) - 1, before))

    def _enforce(self, optimizer: Optimizer) -> None:
        """A checkpoint written without a method brings weight decay back; turn it off again."""
        for group in optimizer.param_groups:
            if group.get("weight_decay") and len(self._share(group)) == len(group["params"]) > 0:
                group["weight_decay"] = type(group["weight_decay"])(0)

    def restore(self) -> None:
        """The groups as they were, with today's learning rates."""
        self._handle.remove()
        groups = self._optimizer.param_groups
        for place, decay in self._decays.items():
            groups[place]["weight_decay"] = decay
        for place, added, before in reversed(self.split):
            del groups[added]
            groups[place].update(before)
        self.split, self._decays = [], {}

    def warn_of_rates(self, place: int, added: int) -> None:
        """Warns once that the two parts of a group that was split have different learning rates."""
        if self._warned:
            return
        self._warned = True
        rates = [f"{float(self._optimizer.param_groups[each]['lr']):g}" for each in (place, added)]
        warnings.warn(
            f"Parameter groups {place} and {added} were one group before attach, but now have the learning rates "
            f"{' and '.join(rates)}. Code that sets rates by hand must set them for every group of "
            "optimizer.param_groups: let it look at the groups after attach.",
            TrainingLoopWarning,
            stacklevel=2,
        )


class DecayOutOfStep:
    """Takes weight decay out of an optimizer's groups while a step runs. Between steps they show what the user set."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._held: list[tuple[dict[str, Any], Any]] = []

    @torch.no_grad()
    def before_step(self, beside: bool) -> None:
        """Theta <- Theta - eta lambda Theta beside the step (WRS paper, Algorithm 1, line 7), or no decay at all."""
        self.after_step()  # of a step that raised an error
        for group in self._optimizer.param_groups:
            if decay := group.get("weight_decay"):
                for parameter in group["params"] if beside else ():
                    if parameter.grad is not None:
                        parameter.mul_(1 - group["lr"] * decay)
                self._held.append((group, decay))
                group["weight_decay"] = type(decay)(0)

    def after_step(self) -> None:
        while self._held:
            group, decay = self._held.pop()
            group["weight_decay"] = decay


PER_GROUP = (
    *("base_lrs", "_last_lr", "lr_lambdas", "max_lrs", "min_lrs", "base_momentums", "max_momentums"),
    *("base_values", "_last_value", "min_values"),
)
"""Lists with one entry per group in the schedulers of torch and mmengine."""


def _grow(scheduler: Any, place: int, groups: int) -> None:
    """Repeats a scheduler's values of a group for the group that was split from it.

    A wrapped optimizer, as mmengine's, may count groups of its own behind those of the optimizer.
    """
    counted = len(scheduler.optimizer.param_groups) if hasattr(scheduler, "optimizer") else groups
    for name in PER_GROUP:
        value = getattr(scheduler, name, None)
        if isinstance(value, list) and len(value) == counted:
            value.insert(groups, value[place])
    for inner in getattr(scheduler, "_schedulers", ()):
        _grow(inner, place, groups)


def _listed(group: dict[str, Any]) -> list[str]:
    """The entries of a group that run parallel to its parameters."""
    return [key for key in ("params", "param_names") if key in group]
