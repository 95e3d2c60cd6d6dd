"""The layers of a model: convolutions and linear layers, which hold filters, norm layers and scale-bias layers.

A layer is recognized by its class in torch. A layer of another library, such as a deformable convolution of mmcv or a
FrozenBatchNorm2d, is recognized by its attributes, so that the library need not be imported: a convolution by those of
a convolution, a norm layer by its running statistics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parameter import is_lazy

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.old_torch import RMSNorm


class NotScalable(Enum):
    """Why no method may scale a weight, whatever follows the layer."""

    TIED = "tied: several modules share this weight"
    PARAMETRIZED = "parametrized: the stored tensor is not the weight that the layer applies"

    def __str__(self) -> str:
        return self.value


@dataclass(eq=False)
class Layer:
    """One conv or linear weight and the module that owns it."""

    name: str
    """The weight's name as in `named_parameters()`."""
    module_name: str
    module: nn.Module
    weight: nn.Parameter
    not_scalable: NotScalable | None = None
    order: int = 0
    """The weight's place in `named_parameters()`."""

    @property
    def bias(self) -> Tensor | None:
        return getattr(self.module, "bias", None)

    @property
    def channels(self) -> int:
        """Output channels, which is the number of filters."""
        if getattr(self.module, "transposed", False):
            return int(self.weight.shape[1]) * int(self.module.groups)  # type: ignore[arg-type]
        return int(self.weight.shape[0])

    @property
    def channel_axis(self) -> int:
        """The axis of the output that holds the channels, counted from the end."""
        return -1 if isinstance(self.module, nn.Linear) else -(self.weight.ndim - 1)


def layers_of(model: nn.Module) -> list[Layer]:
    """Every conv and linear weight of the model, in the order of `named_parameters()`."""
    _refuse_unreadable(model)
    order = {id(p): (place, name) for place, (name, p) in enumerate(model.named_parameters())}
    owners = _owners(model)
    layers: dict[int, Layer] = {}
    for module_name, module in model.named_modules():
        for weight, not_scalable in _stored_weights(module) if is_layer(module) else ():
            if not_scalable is None and owners[id(weight)] > 1:
                not_scalable = NotScalable.TIED
            place, name = order[id(weight)]
            layers.setdefault(id(weight), Layer(name, module_name, module, weight, not_scalable, place))
    return sorted(layers.values(), key=lambda layer: layer.order)


def _refuse_unreadable(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule) and any(True for _ in module.parameters()):
            raise NormRegError(
                f"{name or 'the model'} is a {type(module).__name__}, whose layers cannot be recognized: use the "
                "module that it was made of, and script or trace a copy of it after training"
            )
        if any(is_lazy(parameter) for parameter in module._parameters.values()):
            raise NormRegError(
                f"{name or 'the model'} ({type(module).__name__}) has no weight yet: run one forward, then create the "
                "optimizer and attach"
            )


def _owners(model: nn.Module) -> Counter[int]:
    """By the id of each parameter, how many modules own it."""
    return Counter(
        identity
        for module in model.modules()
        for identity in {id(p) for p in module._parameters.values() if p is not None}
    )


def is_layer(module: nn.Module) -> bool:
    """Whether this is a convolution, a linear layer, or another module with the attributes of a convolution."""
    if isinstance(module, nn.Linear | _ConvNd):
        return True
    weight = module._parameters.get("weight")
    sizes = [getattr(module, name, None) for name in ("out_channels", "in_channels")]
    if weight is None or weight.ndim < 3 or not hasattr(module, "kernel_size"):
        return False
    grouped = isinstance(getattr(module, "groups", None), int) and all(isinstance(size, int) for size in sizes)
    return grouped or sizes == [*weight.shape[:2]]


def _stored_weights(module: nn.Module) -> Iterator[tuple[nn.Parameter, NotScalable | None]]:
    """The parameters behind a layer's weight, each with the reason not to scale it."""
    weight = module._parameters.get("weight")
    if weight is not None:
        yield weight, None
        return
    own = {name: p for name, p in module._parameters.items() if name.startswith("weight")}
    parametrized = getattr(getattr(module, "parametrizations", None), "weight", None)
    if isinstance(parametrized, nn.Module):
        own.update(parametrized.named_parameters())
    for parameter in own.values():
        if parameter is not None:
            yield parameter, NotScalable.PARAMETRIZED


def is_norm_layer(module: nn.Module) -> bool:
    return isinstance(module, _NormBase | nn.GroupNorm | nn.LayerNorm | RMSNorm) or _keeps_statistics(module)


def keeps_channel_statistics(module: nn.Module) -> bool:
    """Whether each channel has a statistic of its own, as in batch and instance norms."""
    return isinstance(module, _NormBase) or _keeps_statistics(module)


def _keeps_statistics(module: nn.Module) -> bool:
    return all(torch.is_tensor(getattr(module, name, None)) for name in ("running_mean", "running_var"))


def has_running_statistics(module: nn.Module) -> bool:
    """Whether it has running statistics per channel now; with `track_running_stats=False` it has none."""
    return keeps_channel_statistics(module) and module.running_mean is not None


def is_instance_norm(module: nn.Module) -> bool:
    return isinstance(module, _InstanceNorm)


def is_frozen(norm: nn.Module) -> bool:
    """Whether a norm layer uses its running statistics now. A foreign one without a momentum always does."""
    if not keeps_channel_statistics(norm) or getattr(norm, "running_mean", None) is None:
        return False
    return not norm.training or not hasattr(norm, "momentum")


def is_scale_bias(module: nn.Module) -> bool:
    """Whether its class is marked as a scale-bias layer, which replaces a norm layer (constrained paper, eq. 6-7)."""
    return bool(getattr(module, "is_scale_bias", False))
