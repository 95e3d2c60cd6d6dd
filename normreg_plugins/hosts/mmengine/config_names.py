"""Layers and optimizers by the names that an mm config gives them.

    conv_cfg=dict(type="NormRegWSConv2d")                  # also WN, CWN, BWN; Conv1d, Conv3d
    norm_cfg=dict(type="NormRegScaleBias", sigma=0.1)      # instead of BN, with PGD
    norm_cfg=dict(type="NormRegMeanOnlyBN")                # instead of BN, with BWN

    conv_cfg=dict(type="NormRegFoldedConv2d"), norm_cfg=dict(type="NormRegFoldedNorm")   # folded

    optimizer=dict(type="NormRegAdamP", lr=1e-3)           # from timm: a baseline of the WRS paper

`paramwise_cfg=dict(flat_decay_mult=0.)` removes the weight decay of gamma and beta.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import product
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS, OPTIMIZERS
from mmengine.runner import Runner
from torch import nn
from torch.optim import Optimizer

from normreg_plugins.hosts.mmengine.method_hook import bare
from normreg_plugins.layers import (
    MIXINS,
    NORMALIZATIONS,
    MeanOnlyBatchNorm,
    ScaleBias,
    assign_linear_sigma,
    normalized_class,
    zero_scales_,
)

for _plain, _normalization in product(MIXINS, NORMALIZATIONS):
    _layer = normalized_class(_plain, _normalization)
    MODELS.register_module(f"NormReg{_layer.__name__}", module=_layer)


class BuiltByMmcv:
    """Inherited before a norm layer, so that mmcv's `build_norm_layer` can build it.

    Models name it as they name a batch norm ('bn', 'bn1', ...), so gamma and beta have the same keys in a checkpoint.

    Args:
        eps: ignored; mmcv passes it to every norm layer.
    """

    _abbr_ = "bn"

    def __init__(self, num_features: int, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(num_features, **kwargs)  # type: ignore[call-arg]


@MODELS.register_module()
class NormRegScaleBias(BuiltByMmcv, ScaleBias):
    """ScaleBias for mmcv."""


@MODELS.register_module()
class NormRegMeanOnlyBN(BuiltByMmcv, MeanOnlyBatchNorm):
    """MeanOnlyBatchNorm for mmcv."""


@MODELS.register_module()
class NormRegFoldedConv2d(nn.Conv2d):
    """A convolution that always has a bias, for a folded checkpoint: the norm layer was folded into it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "bias": True})
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]  # for layers without a norm layer to fold


@MODELS.register_module()
class NormRegFoldedNorm(nn.Identity):
    """Replaces a norm layer that was folded."""

    _abbr_ = "bn"


@HOOKS.register_module()
class NormRegLinearNoiseHook(Hook):
    """Noise that grows with depth, l / L * sigma (constrained paper, eq. 8), for residual nets."""

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def before_run(self, runner: Runner) -> None:
        given = assign_linear_sigma(runner.model, self.sigma)
        low, high = min(given.values()), max(given.values())
        runner.logger.info(f"noise of {len(given)} scale-bias layers: {low:.4f} to {high:.4f}")


@HOOKS.register_module()
class NormRegZeroScaleHook(Hook):
    """Start residual branches at zero: gamma = 0 in the scale-bias layers of these names or patterns.

        custom_hooks = [dict(type="NormRegZeroScaleHook", names=["*.conv2.bn"])]

    Only a new run without `load_from` is changed.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [names] if isinstance(names, str) else list(names)

    def before_train(self, runner: Runner) -> None:
        if runner.iter == 0 and not runner._load_from:
            zeroed = zero_scales_(bare(runner.model), self.names)
            runner.logger.info(f"{len(zeroed)} scale-bias layers begin with gamma = 0")


def adamp(params: Iterable, **options: Any) -> Optimizer:
    from timm.optim import AdamP  # a late import, because timm takes a while

    return AdamP(params, **options)


if find_spec("timm") is not None:
    OPTIMIZERS.register_module("NormRegAdamP", module=adamp)
