"""From a pretrained net with batch norms to weight-normalized layers, or to a net on the sphere."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import ScaledInput, norm_eps, repair_statistics_
from normreg_plugins.core.verdicts import Finding, Kind, NormReader
from normreg_plugins.layers.errors import AlreadyConvertedError
from normreg_plugins.layers.normalized import MIXINS, NormalizedWeight, normalize_layer_
from normreg_plugins.layers.rules import EPS, RULES, Rule, centred, divisor
from normreg_plugins.layers.scale_bias import ScaleBias
from normreg_plugins.layers.surgery import (
    Forward,
    affine_of,
    first_tensor,
    followed_layers,
    norms_of,
    obstacle_to_affine,
    per_channel_of,
    replace_,
)

TARGETS = (*RULES, "pgd")


def convert(
    model: nn.Module,
    to: str,
    forward: Forward,
    *,
    keep: Sequence[str] = (),
    inplace: bool = False,
    **options: Any,
) -> nn.Module:
    """A net in another parametrization that computes the same when evaluated.

    For 'wn', 'cwn', 'ws' and 'bwn' the norms stay (see `to_normalized_` for its options); for 'pgd'
    none is left (see `to_sphere_`). Only layers that a norm follows are converted. Centring ('cwn',
    'ws', centre=True) is what no algebra can make up for: `relative_change` measures it.

    Args:
        forward: runs one training forward of the model it is given, auxiliary heads included, as
            for `find_scale_invariant`: which norm reads which layer is seen there.
        keep: names or patterns of layers and norms to leave as they are.
        inplace: convert `model` itself and not a deep copy.
    """
    if to not in TARGETS:
        raise ValueError(f"cannot convert to {to!r}: choose one of {TARGETS}")
    for name, module in model.named_modules():
        if isinstance(module, NormalizedWeight | ScaleBias):
            found = f"{name} is a {type(module).__name__}"
            raise AlreadyConvertedError(f"{found}: the net is converted already, fold it first")
    result = model if inplace else copy.deepcopy(model)
    if to == "pgd":
        to_sphere_(result, forward, keep=keep, **options)
    else:
        to_normalized_(result, to, forward, keep=keep, **options)
    return result


@torch.no_grad()
def to_normalized_(
    model: nn.Module,
    rule_name: str,
    forward: Forward,
    *,
    gain: bool = False,
    eps: float = EPS,
    keep: Sequence[str] = (),
) -> None:
    """Let every layer that a norm follows normalize its weight; the stored weights stay.

    Without a gain the running statistics take up the change of norm. With one, the gain is the old
    norm and nothing else changes, so that layers before a GroupNorm or LayerNorm can be taken too.
    """
    rule = RULES[rule_name]

    def obstacle(claim: Finding) -> str | None:
        layer = claim.layer
        if type(layer.module) not in MIXINS:
            return f"{type(layer.module).__name__} has no weight-normalized form"
        if gain and layer.untouchable is None:
            return _nothing_left(claim, rule)
        return _scale_is_seen(claim) or _nothing_left(claim, rule)

    for claim in followed_layers(model, forward, keep, obstacle):
        filters = rule.filters(claim.layer.module)
        size = divisor(centred(claim.layer.weight, rule, filters), rule, filters, eps)
        gains = size.to(claim.layer.weight.dtype) if gain else None
        normalize_layer_(claim.layer.module, rule_name, gains, eps)
        if not gain:
            for read in claim.readers:
                _expect_scaled_(read, claim.layer.bias, filters.per_channel(1 / size))


@torch.no_grad()
def to_sphere_(
    model: nn.Module,
    forward: Forward,
    *,
    c: float = 2.0,
    centre: bool = False,
    keep: Sequence[str] = (),
) -> None:
    """Put every filter that a norm follows on ||w||^2 = c, and a ScaleBias in place of each norm.

    Constrained paper, eq. 2 and 6: gamma and beta take up the running statistics and the change of
    norm. With `centre` the filters lose their means too, as PGD demands from its first step on.
    """
    if not 0 < c < math.inf:
        raise ValueError(f"c is a squared norm: finite and above 0, got {c}")
    rule = RULES["cwn" if centre else "wn"]

    def obstacle(claim: Finding) -> str | None:
        return _scale_is_seen(claim) or _nothing_left(claim, rule)

    norms = norms_of(model, keep)
    problems = {name: why for name, norm in norms.items() if (why := obstacle_to_affine(norm))}
    claims = followed_layers(model, forward, keep, obstacle, problems)
    affine = {norm: affine_of(norm) for norm in norms.values()}
    for claim in claims:
        filters = rule.filters(claim.layer.module)
        wide = centred(claim.layer.weight, rule, filters)
        factors = math.sqrt(c) / divisor(wide, rule, filters)
        claim.layer.weight.copy_((wide * factors).reshape(claim.layer.weight.shape))
        if claim.layer.bias is not None:
            claim.layer.bias.mul_(filters.per_channel(factors))
        for read in claim.readers:
            scale, _ = affine[read.norm]
            scale.div_(per_channel_of(read, filters.per_channel(factors)))
    for norm, (scale, shift) in affine.items():
        replace_(model, norm, _scale_bias_like(norm, scale, shift))


def _scale_is_seen(claim: Finding) -> str | None:
    invariant = claim.kind in (Kind.INVARIANT, Kind.COMPENSATED)
    return None if invariant else claim.reason


def _nothing_left(claim: Finding, rule: Rule) -> str | None:
    if rule.centred and rule.filters(claim.layer.module).fan_in == 1:
        return "its filters have one weight each, of which centring leaves nothing"
    return None


def _expect_scaled_(read: NormReader, bias: Tensor | None, factors: Tensor) -> None:
    """Let a norm on running statistics expect filters scaled by `factors`, gamma making up for a
    variance that would have to be negative because eps does not scale."""
    norm: Any = read.norm
    variance = getattr(norm, "running_var", None)
    if variance is None:
        return
    eps = norm_eps(norm)
    expected = (variance + eps).sqrt() * per_channel_of(read, factors)
    repair_statistics_([ScaledInput(read.norm, read.channels, bias, factors)])
    if norm.weight is not None:
        norm.weight.mul_(torch.where(variance == 0, eps**0.5 / expected, 1.0))


def _scale_bias_like(norm: nn.Module, scale: Tensor, shift: Tensor) -> ScaleBias:
    """A ScaleBias with these values, as trainable as the norm was."""
    like = first_tensor(norm)
    layer = ScaleBias(scale.numel(), device=like.device, dtype=like.dtype)
    layer.weight.copy_(scale)
    layer.bias.copy_(shift)
    for name, parameter in layer.named_parameters():
        old = getattr(norm, name, None)
        parameter.requires_grad_(old is None or old.requires_grad)
    return layer.train(norm.training)
