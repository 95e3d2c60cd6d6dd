"""What is in the network: layers and norm layers, what one filter is, and forwards without side effects."""

from normreg_plugins.core.model.divided_weight import DividedWeight, batches
from normreg_plugins.core.model.filters import (
    Filters,
    Per,
    all_safe_factors,
    at_least_float32,
    filters_of,
    is_zero,
    layer_weight,
    safe_factors,
)
from normreg_plugins.core.model.layers import (
    Layer,
    NotScalable,
    has_running_statistics,
    is_frozen,
    is_instance_norm,
    is_layer,
    is_norm_layer,
    is_scale_bias,
    keeps_channel_statistics,
    layers_of,
    norm_eps,
)
from normreg_plugins.core.model.one_launch import scale_each_filter_
from normreg_plugins.core.model.running_statistics import (
    OTHER_LAYER,
    ScaledInput,
    per_norm_channel,
    repair_statistics_,
)
from normreg_plugins.core.model.self_normalizing import (
    ScaleResponse,
    SeesScale,
    WeightNormalization,
    scale_response,
)
from normreg_plugins.core.model.shards import full_tensors, local, whole
from normreg_plugins.core.model.side_effects import (
    evaluation_mode,
    is_restored,
    restored,
    same_randomness,
    training_mode,
)

__all__ = [
    "OTHER_LAYER",
    "DividedWeight",
    "Filters",
    "Layer",
    "NotScalable",
    "Per",
    "ScaleResponse",
    "ScaledInput",
    "SeesScale",
    "WeightNormalization",
    "all_safe_factors",
    "at_least_float32",
    "batches",
    "evaluation_mode",
    "filters_of",
    "full_tensors",
    "has_running_statistics",
    "is_frozen",
    "is_instance_norm",
    "is_layer",
    "is_norm_layer",
    "is_restored",
    "is_scale_bias",
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
    "scale_each_filter_",
    "scale_response",
    "training_mode",
    "whole",
]
