"""Weight-normalized layers, layers that replace norm layers, conversion of pretrained networks, and folding."""

from normreg_plugins.layers.convert import convert
from normreg_plugins.layers.fold import fold
from normreg_plugins.layers.normalization import NORMALIZATIONS, Normalization, normalize_weight
from normreg_plugins.layers.normalized import (
    MIXINS,
    BWNConv2d,
    CWNConv2d,
    NormalizedWeight,
    WNConv2d,
    WSConv2d,
    normalized_class,
)
from normreg_plugins.layers.pretrained import Loaded, load_pretrained_, lost_in_loading
from normreg_plugins.layers.scale_bias import (
    MeanOnlyBatchNorm,
    ScaleBias,
    assign_linear_sigma,
    zero_scales_,
)
from normreg_plugins.layers.surgery import AlreadyConvertedError, ConversionError, relative_change

__all__ = [
    "MIXINS",
    "NORMALIZATIONS",
    "AlreadyConvertedError",
    "BWNConv2d",
    "CWNConv2d",
    "ConversionError",
    "Loaded",
    "MeanOnlyBatchNorm",
    "Normalization",
    "NormalizedWeight",
    "ScaleBias",
    "WNConv2d",
    "WSConv2d",
    "assign_linear_sigma",
    "convert",
    "fold",
    "load_pretrained_",
    "lost_in_loading",
    "normalize_weight",
    "normalized_class",
    "relative_change",
    "zero_scales_",
]
