"""Convolutions and linear layers that compute with a normalized weight.

One mixin holds the settings, three say where torch takes the weight, and `_join` joins
them: (nn.Conv2d, "ws") is WSConv2d. `weight` stays the parameter and its name, so a state_dict of
the torch layer loads here and back; only gain=True adds a key, `gain`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normreg_plugins.layers.rules import EPS, RULES, Rule, normalize_weight


class NormalizedWeight(nn.Module):
    """What all of them share. They take the arguments of the torch layer, and two more.

    Args:
        gain: learn one factor per output channel (BWN: one per layer), beginning at 1.
        eps: a filter whose norm (WS: std) is no more than this is used as it is.
    """

    rule: ClassVar[Rule]
    plain_class: ClassVar[type[nn.Module]]
    normalizes_weight: ClassVar[str]
    """By this mark core knows such a layer: 'norm', 'std' or 'matrix'."""

    weight: nn.Parameter
    gain: nn.Parameter | None
    eps: float

    def __init__(self, *args: Any, gain: bool = False, eps: float = EPS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        units = self.rule.filters(self).norms(self.weight.detach())
        self.set_normalization(torch.ones_like(units).to(self.weight) if gain else None, eps)

    def set_normalization(self, gain: Tensor | None = None, eps: float = EPS) -> None:
        if not eps >= 0:
            raise ValueError(f"eps is a threshold on norms and must be at least 0, got {eps}")
        self.eps = eps
        self.register_parameter("gain", None if gain is None else nn.Parameter(gain.flatten()))

    def normalized_weight(self) -> Tensor:
        """The weight that the layer computes with."""
        filters = self.rule.filters(self)
        return normalize_weight(self.weight, self.rule, filters, self.gain, self.eps)

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


def _join(plain_class: type[nn.Module], rule: Rule) -> Any:
    members = {
        "__doc__": f"nn.{plain_class.__name__} that computes with its weight under {rule}.",
        "__module__": __name__,
        "rule": rule,
        "normalizes_weight": rule.measure,
        "plain_class": plain_class,
    }
    name = rule.name.upper() + plain_class.__name__
    return type(name, (MIXINS[plain_class], plain_class), members)


CLASSES = {(plain, rule.name): _join(plain, rule) for rule in RULES.values() for plain in MIXINS}


def normalized_class(plain_class: type[nn.Module], rule: str) -> Any:
    """The weight-normalized form of a torch layer class: (nn.Conv2d, 'ws') -> WSConv2d."""
    if rule not in RULES:
        raise ValueError(f"unknown weight normalization {rule!r}: choose one of {[*RULES]}")
    if plain_class not in MIXINS:
        known = [known.__name__ for known in MIXINS]
        raise ValueError(f"{plain_class.__name__} has no weight-normalized form, only {known} have")
    return CLASSES[plain_class, rule]


def normalize_layer_(layer: nn.Module, rule: str, gain: Tensor | None = None, eps: float = EPS) -> None:
    """Turn a torch layer into its weight-normalized form, parameters and hooks untouched."""
    layer.__class__ = normalized_class(type(layer), rule)
    layer.set_normalization(gain, eps)  # type: ignore[operator]


def plain_layer_(layer: NormalizedWeight) -> None:
    """Turn it back into the torch layer that computes the same."""
    with torch.no_grad():
        layer.weight.copy_(layer.normalized_weight())
    del layer.gain, layer.eps
    layer.__class__ = layer.plain_class  # type: ignore[assignment]


def _named(rule: str) -> list[Any]:
    return [CLASSES[plain_class, rule] for plain_class in MIXINS]


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
