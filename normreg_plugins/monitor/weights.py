"""The weights that a monitor measures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core import find_scale_invariant
from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import Filters, filters_of, layer_weight, layers_of, local, scale_response
from normreg_plugins.core.training import handle_of


@dataclass(frozen=True)
class MonitoredWeight:
    """One weight; of a sharded one, the filters of this process."""

    name: str
    module: nn.Module
    filters: Filters
    standardized: bool
    """Whether the layer divides each filter by its standard deviation."""

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
        """The optimizer's state of this weight."""
        return {key: local(value) for key, value in optimizer.state.get(self.parameter, {}).items()}


def monitored_weights(optimizer: Optimizer, model: nn.Module, names: Iterable[str] | None) -> list[MonitoredWeight]:
    """The named weights of this optimizer, or those that `Monitor` chooses."""
    optimized = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if names is None:
        scalable = [each.name for each in layers_of(model) if each.not_scalable is None]
        for choice in (_of_method_or_invariant(optimizer, model), scalable):
            names = names or [name for name in choice if id(model.get_parameter(name)) in optimized]
        if not names:
            raise SelectionError(f"this {type(optimizer).__name__} has no conv or linear weight of this model")
    modules = dict(model.named_modules())
    found = []
    for name in names:
        module = modules.get(name.rpartition(".")[0])
        if module is None or module._parameters.get(name.rpartition(".")[2]) is None or not name.endswith("weight"):
            raise SelectionError(f"{name!r} is not a weight of a conv or linear layer of this model")
        if id(layer_weight(module)) not in optimized:
            raise SelectionError(f"{name!r} is in no parameter group of this {type(optimizer).__name__}")
        standardized = scale_response(module).normalization == "std"
        found.append(MonitoredWeight(name, module, filters_of(module), standardized))
    return [each for each in found if _has_full_filters(each)]


def _of_method_or_invariant(optimizer: Optimizer, model: nn.Module) -> list[str]:
    handle = handle_of(optimizer)
    verdicts = find_scale_invariant(model) if handle is None else handle.verdicts
    targets = () if handle is None else handle.targets
    return list(dict.fromkeys([*(v.name for v in verdicts.of("invariant", "compensated")), *targets]))


def _has_full_filters(each: MonitoredWeight) -> bool:
    """False if this process's shard is empty, or cuts the filters of a transposed convolution."""
    sharded = hasattr(each.parameter, "to_local")
    return each.weight.numel() > 0 and not (sharded and getattr(each.module, "transposed", False))
