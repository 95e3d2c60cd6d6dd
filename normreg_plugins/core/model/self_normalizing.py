"""How the output of a layer follows the scale of its weight.

Most layers scale with it. Some normalize the weight in their own forward. Others do more than convolve: a residual, an
activation or a quantization inside, or a forward hook on top.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from enum import Enum
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_flatten

from normreg_plugins.core.model.side_effects import same_randomness

WeightNormalization = Literal["norm", "std", "matrix"]
"""What the layer divides by: each filter's norm (WN, CWN), its standard deviation (WS), or the whole weight's norm."""

PLAIN_FORWARDS = {
    cls.forward
    for cls in (
        *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
        *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    )
}
STANDARDIZING = {
    "timm": ("StdConv2d", "StdConv2dSame", "ScaledStdConv2d", "ScaledStdConv2dSame"),
    "mmcv": ("ConvWS2d", "ConvAWS2d"),
}
"""The layers of other libraries that divide each filter by its standard deviation, by the name of their class."""


class SeesScale(Enum):
    """What makes the output of a layer more than a multiple of its weight."""

    FORWARD = "its own forward, whose output does not scale with the weight"
    HOOK = "a forward hook, which changes its output"
    FAKE_QUANTIZATION = "a fake quantization, whose range does not follow the weight"

    def __str__(self) -> str:
        return self.value


class ScaleResponse(NamedTuple):
    """With both None, the output scales with the weight; a layer that cannot be tried alone is taken to do so."""

    normalization: WeightNormalization | None = None
    """What the layer's own forward divides the weight by."""
    seen_by: SeesScale | None = None


def scale_response(module: nn.Module) -> ScaleResponse:
    """How a layer's own forward follows the scale of its weight.

    A class attribute `normalizes_weight` says so. Layers of torch and a few of other libraries are known. Any other is
    tried on a copy, without its hooks. What a hook does to the output, only a traced forward shows.
    """
    marked = getattr(module, "normalizes_weight", None)
    if marked is not None:
        return ScaleResponse(marked)
    if module._parameters.get("weight") is None:
        return ScaleResponse()
    if any(hasattr(child, "fake_quant_enabled") for child in module.children()):  # it may be enabled only later
        return ScaleResponse(seen_by=SeesScale.FAKE_QUANTIZATION)
    found = _response_of_forward(module)
    if found == "norm" or found == "std":
        return ScaleResponse(found)
    return ScaleResponse(seen_by=SeesScale.FORWARD if found == "other" else None)


Outcome = Literal["norm", "std", "scales", "other", "unknown"]


def _response_of_forward(module: nn.Module) -> Outcome:
    forward = getattr(module.forward, "__func__", module.forward)
    if forward in PLAIN_FORWARDS:
        return "scales"
    library, owner = forward.__module__.partition(".")[0], forward.__qualname__.partition(".")[0]
    return "std" if owner in STANDARDIZING.get(library, ()) else _trial(module)


def _trial(module: nn.Module) -> Outcome:
    """What a copy of the layer does with random weights, if it does the same in training and evaluation mode."""
    try:
        with torch.no_grad(), same_randomness():
            layer = _copy(module)
            found = {_compare(layer.train(mode)) for mode in (True, False)}
    except Exception:  # foreign code may raise anything; a layer that takes more inputs (offsets, masks) does
        return "unknown"
    return found.pop() if len(found) == 1 else "other"


def _copy(module: nn.Module) -> nn.Module:
    """A copy in float32. Hooks are shared instead of copied: they may belong to something large."""
    shared = {
        id(value): value for each in module.modules() for name, value in vars(each).items() if name.endswith("_hooks")
    }
    copy = deepcopy(module, shared).float()
    copy._forward_hooks, copy._forward_pre_hooks = OrderedDict(), OrderedDict()
    return copy


def _compare(layer: nn.Module) -> Outcome:
    """Compare the layer's outputs under weights of several scales.

    All other parameters are random too, because a zero would hide what it multiplies. Only the bias is zero.
    """
    torch.manual_seed(0)
    values = {name: torch.randn(p.shape, device=p.device) for name, p in layer.named_parameters()}
    values |= {name: torch.zeros_like(value) for name, value in values.items() if name == "bias"}
    weight, x = values["weight"], torch.randn(_smallest_input(layer), device=values["weight"].device)

    def output(weight: Tensor) -> Tensor:
        torch.manual_seed(0)
        found = tree_flatten(functional_call(layer, values | {"weight": weight}, (x,)))[0]
        return torch.cat([each.flatten() for each in found])

    plain, uneven = output(weight), weight.clone()
    if _near(output(-weight), plain, 1e-3):
        return "unknown"  # it does not use this weight, or not its sign
    uneven.movedim(1 if getattr(layer, "transposed", False) else 0, 0)[::2].mul_(4)  # every second filter
    if _near(output(uneven), plain, 1e-3):
        return "std" if _near(output(weight + 1), plain, 1e-2) else "norm"
    small = weight / weight[0].numel() ** 0.5  # as large as weights are, for a quantization with a fixed step
    return "scales" if _near(output(4 * small), 4 * output(small), 1e-5) else "other"


def _near(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return bool((a - b).norm() <= tolerance * b.norm())


def _smallest_input(module: Any) -> tuple[int, ...]:
    if isinstance(module, nn.Linear):
        return (2, module.in_features)
    spatial = (2 * d * (k - 1) + 2 for d, k in zip(module.dilation, module.kernel_size, strict=True))
    return (2, module.in_channels, *spatial)
