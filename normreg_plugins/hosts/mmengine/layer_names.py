"""The layers under names that `conv_cfg` and `norm_cfg` of any mm model understand.

    conv_cfg=dict(type="NormRegWSConv2d")                  # also WN, CWN, BWN; Conv1d, Conv3d
    norm_cfg=dict(type="NormRegScaleBias", sigma=0.1)      # in place of BN, with PGD
    norm_cfg=dict(type="NormRegMeanOnlyBN")                # in place of BN, with BWN

    conv_cfg=dict(type="NormRegFoldedConv2d"), norm_cfg=dict(type="NormRegFoldedNorm")   # folded

`paramwise_cfg=dict(flat_decay_mult=0.)` takes the weight decay off gamma and beta.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from mmengine.runner import Runner
from torch import nn

from normreg_plugins.hosts.mmengine.method_hook import bare_model
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


@MODELS.register_module()
class NormRegScaleBias(ScaleBias):
    """ScaleBias as mmcv's `build_norm_layer` wants it.

    Its attribute in a model is called as a batch norm's is ('bn', 'bn1', ...), so that gamma and beta
    keep the keys they have in a checkpoint of the batch norm net.

    Args:
        eps: ignored; mmcv passes it to every norm layer. Nothing is divided here.
    """

    _abbr_ = "bn"

    def __init__(self, num_features: int, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(num_features, **kwargs)


@MODELS.register_module()
class NormRegMeanOnlyBN(MeanOnlyBatchNorm):
    """MeanOnlyBatchNorm as mmcv's `build_norm_layer` wants it.

    Args:
        eps: ignored; mmcv passes it to every norm layer. Nothing is divided here.
    """

    _abbr_ = "bn"

    def __init__(self, num_features: int, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(num_features, **kwargs)


@MODELS.register_module()
class NormRegFoldedConv2d(nn.Conv2d):
    """A convolution that always has a bias, for a folded checkpoint: the bias holds the folded norm layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "bias": True})
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]  # stays so where nothing was folded


@MODELS.register_module()
class NormRegFoldedNorm(nn.Identity):
    """Stands where a norm layer was folded away."""

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
    """Residual branches begin at zero: gamma = 0 in the scale-bias layers of these names or patterns.

        custom_hooks = [dict(type="NormRegZeroScaleHook", names=["*.conv2.bn"])]

    Only a net at its first update that no `load_from` has filled is changed.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [names] if isinstance(names, str) else list(names)

    def before_train(self, runner: Runner) -> None:
        if runner.iter == 0 and not runner._load_from:
            zeroed = zero_scales_(bare_model(runner), self.names)
            runner.logger.info(f"{len(zeroed)} scale-bias layers begin with gamma = 0")
