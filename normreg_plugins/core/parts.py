"""The parts of a model that matter here: layers that convolve a weight, and norms.

Both are recognised by what they are in torch or, for other libraries, by the attributes such modules have: a
deformable convolution of mmcv or torchvision is a layer, a FrozenBatchNorm2d is a norm. Nothing is imported for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

_RMSNorm = getattr(nn, "RMSNorm", nn.LayerNorm)  # torch >= 2.4
_PLAIN_FORWARDS = {cls.forward for cls in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)} | {
    cls.forward for cls in (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
}


@dataclass(eq=False)
class Layer:
    """One conv or linear weight and the module that owns it."""

    name: str
    """The weight's name as in `named_parameters()`."""
    module_name: str
    module: nn.Module
    weight: nn.Parameter
    spoiled: str = ""
    """Why its weight must not be touched, whatever follows: tied or parametrized."""
    order: int = field(default=0)

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
        """The axis of the output that holds the filters, counted from the end."""
        return -1 if isinstance(self.module, nn.Linear) else -(self.weight.ndim - 1)

    @property
    def plain(self) -> bool:
        """Whether its forward is torch's own, linear in the weight."""
        return type(self.module).forward in _PLAIN_FORWARDS


def layers_of(model: nn.Module) -> list[Layer]:
    """Every conv and linear weight of the model, in the order of `named_parameters()`."""
    order = {id(p): (i, name) for i, (name, p) in enumerate(model.named_parameters())}
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in {id(p): p for p in module._parameters.values() if p is not None}.values():
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    layers = []
    for module_name, module in model.named_modules():
        if not is_layer(module):
            continue
        for parameter, spoiled in _stored_weights(module):
            place, name = order[id(parameter)]
            if not spoiled and owners[id(parameter)] > 1:
                spoiled = f"tied: {owners[id(parameter)]} modules own this weight"
            layers.append(Layer(name, module_name, module, parameter, spoiled, place))
    seen: dict[int, Layer] = {}
    for layer in layers:
        seen.setdefault(id(layer.weight), layer)
    return sorted(seen.values(), key=lambda layer: layer.order)


def is_layer(module: nn.Module) -> bool:
    """A convolution, a linear layer, or a foreign module with the attributes of a convolution."""
    if isinstance(module, nn.Linear | _ConvNd):
        return True
    weight = module._parameters.get("weight")
    sizes = [getattr(module, name, None) for name in ("out_channels", "in_channels")]
    if weight is None or weight.ndim < 3 or not hasattr(module, "kernel_size"):
        return False
    grouped = isinstance(getattr(module, "groups", None), int) and all(isinstance(size, int) for size in sizes)
    return grouped or sizes == [*weight.shape[:2]]


def _stored_weights(module: nn.Module) -> Iterator[tuple[nn.Parameter, str]]:
    """The parameters behind a layer's weight, each with the reason not to touch it (or none)."""
    weight = module._parameters.get("weight")
    if weight is not None:
        yield weight, ""
        return
    own = {name: p for name, p in module._parameters.items() if name.startswith("weight")}
    parametrized = getattr(getattr(module, "parametrizations", None), "weight", None)
    if isinstance(parametrized, nn.Module):
        own.update(parametrized.named_parameters())
    for parameter in own.values():
        if parameter is not None:
            yield parameter, "parametrized: the stored tensor is not the weight that convolves"


def is_norm(module: nn.Module) -> bool:
    return isinstance(module, _NormBase | nn.GroupNorm | nn.LayerNorm | _RMSNorm) or _keeps_statistics(module)


def keeps_channel_statistics(module: nn.Module) -> bool:
    """Batch and instance norms, foreign ones included: one channel, one statistic."""
    return isinstance(module, _NormBase) or _keeps_statistics(module)


def _keeps_statistics(module: nn.Module) -> bool:
    return all(torch.is_tensor(getattr(module, name, None)) for name in ("running_mean", "running_var"))


def is_instance_norm(module: nn.Module) -> bool:
    return isinstance(module, _InstanceNorm)


def is_frozen(norm: nn.Module) -> bool:
    """Whether a norm uses its running statistics now. A foreign one without a momentum never uses any other."""
    if not keeps_channel_statistics(norm) or getattr(norm, "running_mean", None) is None:
        return False
    return not norm.training or not hasattr(norm, "momentum")


def norm_eps(norm: nn.Module) -> float:
    return float(getattr(norm, "eps", 0.0) or 0.0)


def is_scale_bias(module: nn.Module) -> bool:
    """The layer that stands where a norm stood in the constrained paper (eq. 6-7); told by a mark, not by import."""
    return bool(getattr(module, "is_scale_bias", False))


def weight_rule(module: nn.Module) -> str | None:
    """'norm', 'std' or 'matrix' for a layer that normalizes its own weight in forward, told by a mark or by trying."""
    marked = getattr(module, "normalizes_weight", None)
    if marked is not None or type(module).forward in _PLAIN_FORWARDS:
        return marked
    return _probe_rule(module)


def _probe_rule(module: nn.Module) -> str | None:
    """Run the layer alone on a small random input: does its output forget the weight's scale, and its mean?"""
    weight = module._parameters.get("weight")
    if weight is None or not weight.is_floating_point():
        return None
    kept = weight.detach().clone()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            noise = torch.randn(weight.shape).to(weight)
            x = torch.randn(_smallest_input(module)).to(weight)
            plain, scaled, moved = (_with_weight(module, w, x) for w in (noise, noise * 4, noise + 1))
    except Exception:  # a foreign layer that takes more inputs (offsets, masks): nothing to learn from it alone
        return None
    finally:
        weight.detach().copy_(kept)
    if not torch.allclose(plain, scaled, rtol=1e-3, atol=1e-4):
        return None
    return "std" if torch.allclose(plain, moved, rtol=1e-2, atol=1e-3) else "norm"


def _with_weight(module: nn.Module, weight: Tensor, x: Tensor) -> Tensor:
    module.weight.detach().copy_(weight)  # type: ignore[operator]
    return module.forward(x)


def _smallest_input(module: nn.Module) -> tuple[int, ...]:
    if isinstance(module, nn.Linear):
        return (2, module.in_features)
    spatial = (2 * d * (k - 1) + 2 for d, k in zip(module.dilation, module.kernel_size, strict=True))  # type: ignore[arg-type]
    return (2, int(module.in_channels), *spatial)  # type: ignore[arg-type]
