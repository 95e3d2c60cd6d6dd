"""What is in the network: layers and norm layers, what one filter is, and forwards that leave no trace."""

from normreg_plugins.core.model.conv_linear import Layer, NotScalable, is_layer, layers_of
from normreg_plugins.core.model.filters import (
    Filters,
    Per,
    at_least_float32,
    elementwise,
    filters_of,
    is_sharded,
    is_zero,
    layer_weight,
    safe_factors,
)
from normreg_plugins.core.model.no_trace import evaluation_mode, is_restored, restored, same_randomness, training_mode
from normreg_plugins.core.model.norm_layers import (
    has_running_statistics,
    is_frozen,
    is_instance_norm,
    is_norm_layer,
    is_scale_bias,
    keeps_channel_statistics,
)
from normreg_plugins.core.model.shards import full_tensor, full_tensors, local
from normreg_plugins.core.model.statistics import (
    OTHER_LAYER,
    ScaledInput,
    norm_eps,
    per_norm_channel,
    repair_statistics_,
)
from normreg_plugins.core.model.weight_normalization import WeightNormalization, weight_normalization

__all__ = [
    "OTHER_LAYER",
    "Filters",
    "Layer",
    "NotScalable",
    "Per",
    "ScaledInput",
    "WeightNormalization",
    "at_least_float32",
    "elementwise",
    "evaluation_mode",
    "filters_of",
    "full_tensor",
    "full_tensors",
    "has_running_statistics",
    "is_frozen",
    "is_instance_norm",
    "is_layer",
    "is_norm_layer",
    "is_restored",
    "is_scale_bias",
    "is_sharded",
    "is_zero",
    "keeps_channel_statistics",
    "layer_weight",
    "layers_of",
    "local",
    "norm_eps",
    "per_norm_channel",
    "repair_statistics_",
    "restored",
    "safe_factors",
    "same_randomness",
    "training_mode",
    "weight_normalization",
]
