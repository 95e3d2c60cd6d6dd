"""Convolutions and linear layers that compute with a normalized weight.

`NormalizedWeight` holds the settings. Three mixins say how each kind of torch layer is called with another weight.
`_join` makes a class of a mixin, a torch layer and a normalization: (nn.Conv2d, "ws") is WSConv2d. The parameter is
still called `weight`, so a state_dict of the torch layer loads here and back. Only gain=True adds a key, `gain`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normreg_plugins.layers.native_kernels import normalize_weight
from normreg_plugins.layers.normalization import EPS, NORMALIZATIONS, Normalization


class NormalizedWeight(nn.Module):
    """The settings of a weight-normalized layer. It takes the arguments of the torch layer, and two more.

    Args:
        gain: learn one factor per output channel (BWN: one per layer), which begins at 1.
        eps: a filter whose norm (WS: std) is no more than this is used as it is.
    """

    normalization: ClassVar[Normalization]
    plain_class: ClassVar[type[nn.Module]]
    normalizes_weight: ClassVar[str]
    """Core recognizes such a layer by this attribute: 'norm', 'std' or 'matrix'."""

    weight: nn.Parameter
    gain: nn.Parameter | None
    eps: float

    def __init__(self, *args: Any, gain: bool = False, eps: float = EPS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        units = self.normalization.filters(self).norms(self.weight.detach())
        self.set_gain(torch.ones_like(units).to(self.weight) if gain else None, eps)

    def set_gain(self, gain: Tensor | None = None, eps: float = EPS) -> None:
        if not eps >= 0:
            raise ValueError(f"eps is a threshold on norms and must be at least 0, got {eps}")
        self.eps = eps
        self.register_parameter("gain", None if gain is None else nn.Parameter(gain.flatten()))

    def normalized_weight(self) -> Tensor:
        """The weight that the layer computes with."""
        filters = self.normalization.filters(self)
        return normalize_weight(self.weight, self.normalization, filters, self.gain, self.eps)

    def extra_repr(self) -> str:
        gain = "" if self.gain is None else ", gain=True"
        eps = "" if self.eps == EPS else f", eps={self.eps}"
        return super().extra_repr() + gain + eps


class _NormalizedConv(NormalizedWeight):
    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.normalized_weight(), self.bias)  # type: ignore[operator]


class _NormalizedLinear(NormalizedWeight):
    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.normalized_weight(), self.bias)  # type: ignore[arg-type]


class _NormalizedConvTranspose(NormalizedWeight):
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        settings: Any = self
        spatial = len(settings.kernel_size)
        conv = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spatial - 1]
        extra = settings._output_padding(
            input,
            output_size,
            settings.stride,
            settings.padding,
            settings.kernel_size,
            spatial,
            settings.dilation,
        )
        return conv(
            input,
            self.normalized_weight(),
            settings.bias,
            settings.stride,
            settings.padding,
            extra,
            settings.groups,
            settings.dilation,
        )


MIXINS: dict[type[nn.Module], type[NormalizedWeight]] = {
    nn.Conv1d: _NormalizedConv,
    nn.Conv2d: _NormalizedConv,
    nn.Conv3d: _NormalizedConv,
    nn.ConvTranspose1d: _NormalizedConvTranspose,
    nn.ConvTranspose2d: _NormalizedConvTranspose,
    nn.ConvTranspose3d: _NormalizedConvTranspose,
    nn.Linear: _NormalizedLinear,
}


def _join(plain_class: type[nn.Module], normalization: Normalization) -> Any:
    members = {
        "__doc__": f"nn.{plain_class.__name__} that computes with its weight under {normalization}.",
        "__module__": __name__,
        "normalization": normalization,
        "normalizes_weight": normalization.measure,
        "plain_class": plain_class,
    }
    name = normalization.name.upper() + plain_class.__name__
    return type(name, (MIXINS[plain_class], plain_class), members)


NORMALIZED_LAYERS = {(plain, one.name): _join(plain, one) for one in NORMALIZATIONS.values() for plain in MIXINS}
"""The 28 classes by torch layer and normalization: (nn.Conv2d, "ws") is WSConv2d."""


def normalized_class(plain_class: type[nn.Module], normalization: str) -> Any:
    """The weight-normalized form of a torch layer class: (nn.Conv2d, 'ws') -> WSConv2d."""
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"unknown weight normalization {normalization!r}: choose one of {[*NORMALIZATIONS]}")
    if plain_class not in MIXINS:
        known = [known.__name__ for known in MIXINS]
        raise ValueError(f"{plain_class.__name__} has no weight-normalized form, only {known} have")
    return NORMALIZED_LAYERS[plain_class, normalization]


def normalize_layer_(layer: nn.Module, normalization: str, gain: Tensor | None = None, eps: float = EPS) -> None:
    """Turn a torch layer into its weight-normalized form, parameters and hooks untouched."""
    layer.__class__ = normalized_class(type(layer), normalization)
    layer.set_gain(gain, eps)  # type: ignore[operator]


def plain_layer_(layer: NormalizedWeight) -> None:
    """Turn a weight-normalized layer back into the torch layer that computes the same."""
    with torch.no_grad():
        layer.weight.copy_(layer.normalized_weight())
    del layer.gain, layer.eps
    layer.__class__ = layer.plain_class  # type: ignore[assignment]


def _named(normalization: str) -> list[Any]:
    return [NORMALIZED_LAYERS[plain_class, normalization] for plain_class in MIXINS]


# By name, so that they can be imported and pickled.
# fmt: off
(WNConv1d, WNConv2d, WNConv3d,
 WNConvTranspose1d, WNConvTranspose2d, WNConvTranspose3d, WNLinear) = _named("wn")
(CWNConv1d, CWNConv2d, CWNConv3d,
 CWNConvTranspose1d, CWNConvTranspose2d, CWNConvTranspose3d, CWNLinear) = _named("cwn")
(WSConv1d, WSConv2d, WSConv3d,
 WSConvTranspose1d, WSConvTranspose2d, WSConvTranspose3d, WSLinear) = _named("ws")
(BWNConv1d, BWNConv2d, BWNConv3d,
 BWNConvTranspose1d, BWNConvTranspose2d, BWNConvTranspose3d, BWNLinear) = _named("bwn")
# fmt: on
