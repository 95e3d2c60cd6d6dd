"""From a pretrained network with batch norms to weight-normalized layers, or to filters on a sphere."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import Layer, ScaledInput, norm_eps, per_norm_channel, repair_statistics_, safe_factors
from normreg_plugins.core.verdicts import Kind, NormReader, WeightReport, find
from normreg_plugins.layers.normalization import EPS, NORMALIZATIONS, Normalization, centred, divisor
from normreg_plugins.layers.normalized import MIXINS, NormalizedWeight, normalize_layer_
from normreg_plugins.layers.scale_bias import ScaleBias
from normreg_plugins.layers.surgery import (
    AlreadyConvertedError,
    ConversionError,
    Forward,
    affine_of,
    excluded_names,
    first_tensor,
    norm_layers_of,
    obstacle_to_affine,
    replace_,
)

TARGETS = (*NORMALIZATIONS, "pgd")


def convert(
    model: nn.Module,
    to: str,
    forward: Forward,
    *,
    keep: Sequence[str] = (),
    **options: Any,
) -> nn.Module:
    """A network with other layers that computes the same in evaluation.

    'wn', 'cwn', 'ws' and 'bwn' keep the norm layers; see `to_normalized_` for their options. 'pgd' replaces every norm
    layer with a ScaleBias; see `to_sphere_`. Only layers that a norm layer follows are converted. Centring ('cwn',
    'ws', centre=True) changes the function, and no other parameter can compensate for it; `relative_change` measures
    by how much.

    Args:
        forward: runs one training forward of the model it is given, auxiliary heads included, as for
            `find_scale_invariant`. It shows which norm layer follows which layer.
        keep: names or patterns of layers and norm layers to leave unchanged.
    """
    if to not in TARGETS:
        raise ValueError(f"cannot convert to {to!r}: choose one of {TARGETS}")
    for name, module in model.named_modules():
        if isinstance(module, NormalizedWeight | ScaleBias):
            found = f"{name} is a {type(module).__name__}"
            raise AlreadyConvertedError(f"{found}: the network is converted already, fold it first")
    result = copy.deepcopy(model)
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
    """Make every layer that a norm layer follows normalize its weight. The stored weights do not change.

    Without a gain, the running statistics compensate for the change of the filter norms. With `gain`, each gain is the
    old filter norm and nothing else changes, so layers before a GroupNorm or LayerNorm can be converted too.
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
        module: Any = report.layer.module
        ones = torch.ones_like(normalization.filters(module).norms(module.weight)).to(module.weight) if gain else None
        normalize_layer_(module, name, ones, eps)
        follow_(report.layer, report.readers)


@torch.no_grad()
def to_sphere_(
    model: nn.Module,
    forward: Forward,
    *,
    c: float = 2.0,
    centre: bool = False,
    keep: Sequence[str] = (),
) -> None:
    """Scale every filter that a norm layer follows to ||w||^2 = c, and replace each norm layer with a ScaleBias.

    Constrained paper, eq. 2 and 6. gamma and beta absorb the running statistics and the change of the filter norms.
    With `centre` the filters lose their means too, as PGD requires from its first step on.
    """
    if not 0 < c < math.inf:
        raise ValueError(f"c={c}: a squared norm must be finite and above 0")
    normalization = NORMALIZATIONS["cwn" if centre else "wn"]

    def obstacle(report: WeightReport) -> str | None:
        return _scale_is_seen(report) or _nothing_left(report, normalization)

    norms = norm_layers_of(model, keep)
    problems = {name: why for name, norm in norms.items() if (why := obstacle_to_affine(norm))}
    reports = followed_layers(model, forward, keep, obstacle, problems)
    affine = {norm: affine_of(norm) for norm in norms.values()}
    for report in reports:
        factors = onto_sphere_(report.layer, normalization, c)
        for reader in report.readers:
            scale, _ = affine[reader.norm]
            scale.div_(per_norm_channel(factors, reader.channels, fill=1.0))
    for norm, (scale, shift) in affine.items():
        replace_(model, norm, _scale_bias_like(norm, scale, shift))


def onto_sphere_(layer: Layer, normalization: Normalization, c: float) -> Tensor:
    """w <- sqrt(c) w / ||w||, and the bias with it; returns sqrt(c) / ||w|| of each filter."""
    filters = normalization.filters(layer.module)
    wide = centred(layer.weight.double(), normalization, filters)
    factors = safe_factors(math.sqrt(c), filters.norms(wide))
    layer.weight.copy_((wide * factors).reshape(layer.weight.shape))
    if layer.bias is not None:
        layer.bias.mul_(filters.per_channel(factors))
    return filters.per_channel(factors)


def follow_(layer: Layer, readers: Iterable[NormReader]) -> None:
    """Make up for what a layer divides its weight by: in its gain, or else in the running statistics behind it."""
    module: Any = layer.module
    normalization = module.normalization
    filters = normalization.filters(module)
    wide = centred(layer.weight, normalization, filters)  # in the precision that the layer computes in
    size = divisor(wide, normalization, filters, module.eps)
    if module.gain is not None:
        module.gain.copy_(size.flatten())
        return
    factors = torch.where(filters.norms(wide) > module.eps, 1 / size, 1.0)  # a zero filter stays zero
    for reader in readers:
        expect_scaled_(reader, layer.bias, filters.per_channel(factors.to(layer.weight.dtype)))


def followed_layers(
    model: nn.Module,
    forward: Forward,
    keep: Sequence[str],
    obstacle: Callable[[WeightReport], str | None],
    problems: Mapping[str, str] | None = None,
) -> list[WeightReport]:
    """The report of each layer that a norm layer follows. Any obstacle is an error.

    A layer is left out if `keep` selects it or its norm layer. A layer that `forward` never called is an obstacle,
    because nothing is known about it.

    Args:
        obstacle: says why a layer cannot be converted, or None.
        problems: reasons that the caller has found already, by name.
    """
    excluded = excluded_names(model, keep)
    problems = dict(problems or {})
    chosen = []
    for report in find(model, forward):
        name = report.layer.module_name
        norms = [read.name for read in report.readers]
        if excluded.intersection([name, *norms]) or (report.traced and not norms):
            continue
        if why := obstacle(report) if report.traced else report.reason:
            problems[name] = why
        chosen.append(report)
    if problems:
        raise ConversionError("conversion", problems)
    if not chosen:
        raise SelectionError(f"{type(model).__name__} has no layer that a norm layer follows")
    return chosen


def _scale_is_seen(report: WeightReport) -> str | None:
    invariant = report.kind in (Kind.INVARIANT, Kind.COMPENSATED)
    return None if invariant else report.reason


def _nothing_left(report: WeightReport, normalization: Normalization) -> str | None:
    if normalization.centred and normalization.filters(report.layer.module).fan_in == 1:
        return "its filters have one weight each, of which centring leaves nothing"
    return None


def expect_scaled_(reader: NormReader, bias: Tensor | None, factors: Tensor) -> None:
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
