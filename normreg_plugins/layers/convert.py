"""From a pretrained network with batch norms to weight-normalized layers, or to filters on a sphere."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import ScaledInput, norm_eps, per_norm_channel, repair_statistics_
from normreg_plugins.core.verdicts import Kind, NormReader, WeightReport
from normreg_plugins.layers.affine_norm_layers import (
    affine_of,
    first_tensor,
    norm_layers_of,
    obstacle_to_affine,
    replace_,
)
from normreg_plugins.layers.conversion_errors import AlreadyConvertedError
from normreg_plugins.layers.followed_layers import Forward, followed_layers
from normreg_plugins.layers.normalization import EPS, NORMALIZATIONS, Normalization, centred, divisor
from normreg_plugins.layers.normalized import MIXINS, NormalizedWeight, normalize_layer_
from normreg_plugins.layers.scale_bias import ScaleBias

TARGETS = (*NORMALIZATIONS, "pgd")


def convert(
    model: nn.Module,
    to: str,
    forward: Forward,
    *,
    keep: Sequence[str] = (),
    inplace: bool = False,
    **options: Any,
) -> nn.Module:
    """A network with other layers that computes the same when it is evaluated.

    'wn', 'cwn', 'ws' and 'bwn' keep the norm layers; `to_normalized_` says what the options are. 'pgd' puts a ScaleBias
    in place of every norm layer; see `to_sphere_`. Only layers that a norm layer follows are converted. Centring
    ('cwn', 'ws', centre=True) does change the function, and no other parameter can make up for it. `relative_change`
    measures by how much.

    Args:
        forward: runs one training forward of the model it is given, auxiliary heads included, as for
            `find_scale_invariant`. It shows which norm layer follows which layer.
        keep: names or patterns of layers and norm layers to leave as they are.
        inplace: convert `model` itself and not a deep copy.
    """
    if to not in TARGETS:
        raise ValueError(f"cannot convert to {to!r}: choose one of {TARGETS}")
    for name, module in model.named_modules():
        if isinstance(module, NormalizedWeight | ScaleBias):
            found = f"{name} is a {type(module).__name__}"
            raise AlreadyConvertedError(f"{found}: the network is converted already, fold it first")
    result = model if inplace else copy.deepcopy(model)
    if to == "pgd":
        to_sphere_(result, forward, keep=keep, **options)
    else:
        to_normalized_(result, to, forward, keep=keep, **options)
    return result


@torch.no_grad()
def to_normalized_(
    model: nn.Module,
    name: str,
    forward: Forward,
    *,
    gain: bool = False,
    eps: float = EPS,
    keep: Sequence[str] = (),
) -> None:
    """Let every layer that a norm layer follows normalize its weight. The stored weights stay.

    Without a gain, the running statistics take up the change of the filter norms. With `gain`, each gain is the old
    filter norm and nothing else changes. So layers before a GroupNorm or LayerNorm can be converted too.
    """
    normalization = NORMALIZATIONS[name]

    def obstacle(report: WeightReport) -> str | None:
        layer = report.layer
        if type(layer.module) not in MIXINS:
            return f"{type(layer.module).__name__} has no weight-normalized form"
        if gain and layer.not_scalable is None:
            return _nothing_left(report, normalization)
        return _scale_is_seen(report) or _nothing_left(report, normalization)

    for report in followed_layers(model, forward, keep, obstacle):
        filters = normalization.filters(report.layer.module)
        size = divisor(centred(report.layer.weight, normalization, filters), normalization, filters, eps)
        gains = size.to(report.layer.weight.dtype) if gain else None
        normalize_layer_(report.layer.module, name, gains, eps)
        if not gain:
            for reader in report.readers:
                _expect_scaled_(reader, report.layer.bias, filters.per_channel(1 / size))


@torch.no_grad()
def to_sphere_(
    model: nn.Module,
    forward: Forward,
    *,
    c: float = 2.0,
    centre: bool = False,
    keep: Sequence[str] = (),
) -> None:
    """Scale every filter that a norm layer follows to ||w||^2 = c, and put a ScaleBias in place of each norm layer.

    Constrained paper, eq. 2 and 6. gamma and beta take up the running statistics and the change of the filter norms.
    With `centre` the filters lose their means too, as PGD demands from its first step on.
    """
    if not 0 < c < math.inf:
        raise ValueError(f"c is a squared norm: finite and above 0, got {c}")
    normalization = NORMALIZATIONS["cwn" if centre else "wn"]

    def obstacle(report: WeightReport) -> str | None:
        return _scale_is_seen(report) or _nothing_left(report, normalization)

    norms = norm_layers_of(model, keep)
    problems = {name: why for name, norm in norms.items() if (why := obstacle_to_affine(norm))}
    reports = followed_layers(model, forward, keep, obstacle, problems)
    affine = {norm: affine_of(norm) for norm in norms.values()}
    for report in reports:
        filters = normalization.filters(report.layer.module)
        wide = centred(report.layer.weight, normalization, filters)
        factors = math.sqrt(c) / divisor(wide, normalization, filters)
        report.layer.weight.copy_((wide * factors).reshape(report.layer.weight.shape))
        if report.layer.bias is not None:
            report.layer.bias.mul_(filters.per_channel(factors))
        for reader in report.readers:
            scale, _ = affine[reader.norm]
            scale.div_(per_norm_channel(filters.per_channel(factors), reader.channels, fill=1.0))
    for norm, (scale, shift) in affine.items():
        replace_(model, norm, _scale_bias_like(norm, scale, shift))


def _scale_is_seen(report: WeightReport) -> str | None:
    invariant = report.kind in (Kind.INVARIANT, Kind.COMPENSATED)
    return None if invariant else report.reason


def _nothing_left(report: WeightReport, normalization: Normalization) -> str | None:
    if normalization.centred and normalization.filters(report.layer.module).fan_in == 1:
        return "its filters have one weight each, of which centring leaves nothing"
    return None


def _expect_scaled_(reader: NormReader, bias: Tensor | None, factors: Tensor) -> None:
    """Correct the running statistics of a norm layer for filters that were scaled by `factors`.

    The norm layer's eps does not scale. Where the variance would have to be negative, gamma makes up for it.
    """
    norm: Any = reader.norm
    variance = getattr(norm, "running_var", None)
    if variance is None:
        return
    eps = norm_eps(norm)
    expected = (variance + eps).sqrt() * per_norm_channel(factors, reader.channels, fill=1.0)
    repair_statistics_([ScaledInput(reader.norm, reader.channels, bias, factors)])
    if norm.weight is not None:
        norm.weight.mul_(torch.where(variance == 0, eps**0.5 / expected, 1.0))


def _scale_bias_like(norm: nn.Module, scale: Tensor, shift: Tensor) -> ScaleBias:
    """A ScaleBias with these values, as trainable as the norm layer was."""
    like = first_tensor(norm)
    layer = ScaleBias(scale.numel(), device=like.device, dtype=like.dtype)
    layer.weight.copy_(scale)
    layer.bias.copy_(shift)
    for name, parameter in layer.named_parameters():
        old = getattr(norm, name, None)
        parameter.requires_grad_(old is None or old.requires_grad)
    return layer.train(norm.training)
