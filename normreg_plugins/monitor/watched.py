"""The weights a monitor watches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core import find_scale_invariant
from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import Filters, filters_of, layer_weight, local
from normreg_plugins.core.training import handle_of


@dataclass(frozen=True)
class Watched:
    """One weight, and of a sharded one this process's filters."""

    name: str
    module: nn.Module
    filters: Filters

    @property
    def parameter(self) -> nn.Parameter:
        return layer_weight(self.module)

    @property
    def weight(self) -> Tensor:
        return local(self.parameter.detach())

    @property
    def gradient(self) -> Tensor | None:
        gradient = self.parameter.grad
        return None if gradient is None else local(gradient.detach())

    def state(self, optimizer: Optimizer) -> dict[str, Any]:
        """What the optimizer keeps of it."""
        state = optimizer.state.get(self.parameter, {})
        return {key: local(value) for key, value in state.items()}


def watch(optimizer: Optimizer, model: nn.Module, names: Iterable[str] | None) -> list[Watched]:
    """The named weights, or without names those whose norm is worth watching: see `Monitor`."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    modules = dict(model.named_modules())
    if names is None:
        names = [name for name in _worth_watching(optimizer, model) if id(model.get_parameter(name)) in held]
        if not names:
            raise SelectionError(
                "no weight of this optimizer is scale invariant by the structure of the model: name weights with names="
            )
    found = []
    for name in names:
        module = modules.get(name.rpartition(".")[0])
        if module is None or module._parameters.get(name.rpartition(".")[2]) is None or not name.endswith("weight"):
            raise SelectionError(f"{name!r} is no weight of a conv or linear layer of this model")
        if id(layer_weight(module)) not in held:
            raise SelectionError(f"{name!r} is in no parameter group of this {type(optimizer).__name__}")
        found.append(Watched(name, module, filters_of(module)))
    return [each for each in found if _has_whole_filters(each)]


def _worth_watching(optimizer: Optimizer, model: nn.Module) -> list[str]:
    handle = handle_of(optimizer)
    verdicts = find_scale_invariant(model) if handle is None else handle.verdicts
    targets = () if handle is None else handle.targets
    return list(dict.fromkeys([*(v.name for v in verdicts.of("invariant", "compensated")), *targets]))


def _has_whole_filters(each: Watched) -> bool:
    """Not so where this process's shard is empty, or cuts the filters of a transposed convolution."""
    sharded = hasattr(each.parameter, "to_local")
    return each.weight.numel() > 0 and not (sharded and getattr(each.module, "transposed", False))
