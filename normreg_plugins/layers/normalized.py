"""Convolutions and linear layers that compute with a normalized weight: `normalized_class(nn.Conv2d, "ws")`.

The parameter is still called `weight`, so a state_dict of the torch layer loads here and back. Only gain=True adds a
key, `gain`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normreg_plugins.layers.normalization import EPS, NORMALIZATIONS, Normalization, normalize_weight


class NormalizedWeight(nn.Module):
    """Settings of a weight-normalized layer. It takes the arguments of the torch layer, and two more.

    Args:
        gain: learn one factor per output channel (BWN: one per layer), initialized to 1.
        eps: lower bound of the norm (WS: std) that divides, see `normalize_weight`.
    """

    normalization: ClassVar[Normalization]
    plain_class: ClassVar[type[nn.Module]]
    normalizes_weight: ClassVar[str]
    """'norm', 'std' or 'matrix'. Core recognizes a weight-normalized layer by this attribute."""

    weight: nn.Parameter
    gain: nn.Parameter | None
    eps: float
    was_plain = False
    """Whether the state that was loaded last is that of a torch layer, which computes something else with it."""
    _version = 2  # of its states; torch's layers write 1

    def __init__(self, *args: Any, gain: bool = False, eps: float = EPS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        units = self.normalization.filters(self).norms(self.weight.detach())
        self.set_gain(torch.ones_like(units).to(self.weight) if gain else None, eps)

    def set_gain(self, gain: Tensor | None = None, eps: float = EPS) -> None:
        if not eps >= 0:
            raise ValueError(f"eps={eps}: the lower bound of a norm must be at least 0")
        self.eps = eps
        self.register_parameter("gain", None if gain is None else nn.Parameter(gain.flatten()))

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, metadata: dict[str, Any], *rest: Any) -> None:
        self.was_plain = metadata.get("version") == 1
        super()._load_from_state_dict(state, prefix, metadata, *rest)

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
"""How each torch layer is called with another weight."""


def _make_class(plain_class: type[nn.Module], normalization: Normalization) -> type:
    members = {
        "__doc__": f"nn.{plain_class.__name__} that computes with its weight under {normalization}.",
        "__module__": __name__,
        "normalization": normalization,
        "normalizes_weight": normalization.measure,
        "plain_class": plain_class,
    }
    name = normalization.name.upper() + plain_class.__name__
    return type(name, (MIXINS[plain_class], plain_class), members)


_CLASSES = {(plain, one.name): _make_class(plain, one) for one in NORMALIZATIONS.values() for plain in MIXINS}
globals().update({made.__name__: made for made in _CLASSES.values()})  # pickle finds a class by its name


def normalized_class(plain_class: type[nn.Module], normalization: str) -> Any:
    """The weight-normalized form of a torch layer class: (nn.Conv2d, "ws") -> WSConv2d."""
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"unknown weight normalization {normalization!r}: choose one of {[*NORMALIZATIONS]}")
    if plain_class not in MIXINS:
        known = [known.__name__ for known in MIXINS]
        raise ValueError(f"{plain_class.__name__} has no weight-normalized form: choose one of {known}")
    return _CLASSES[plain_class, normalization]


WNConv2d = normalized_class(nn.Conv2d, "wn")
CWNConv2d = normalized_class(nn.Conv2d, "cwn")
WSConv2d = normalized_class(nn.Conv2d, "ws")
BWNConv2d = normalized_class(nn.Conv2d, "bwn")


def normalize_layer_(layer: nn.Module, normalization: str, gain: Tensor | None = None, eps: float = EPS) -> None:
    """Turn a torch layer into its weight-normalized form. Parameters and hooks stay."""
    layer.__class__ = normalized_class(type(layer), normalization)
    layer.set_gain(gain, eps)  # type: ignore[operator]


def plain_layer_(layer: NormalizedWeight) -> None:
    """Turn a weight-normalized layer back into the torch layer that computes the same."""
    with torch.no_grad():
        layer.weight.copy_(layer.normalized_weight())
    del layer.gain, layer.eps
    layer.__class__ = layer.plain_class  # type: ignore[assignment]
