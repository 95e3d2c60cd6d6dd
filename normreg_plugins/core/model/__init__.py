"""What is in the network: layers and norm layers, what one filter is, and forwards without side effects."""

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
)
from normreg_plugins.core.model.self_normalizing import (
    ScaleResponse,
    SeesScale,
    WeightNormalization,
    scale_response,
)
from normreg_plugins.core.model.shards import full_tensor, full_tensors, local
from normreg_plugins.core.model.side_effects import (
    evaluation_mode,
    is_restored,
    leaves_of,
    restored,
    same_randomness,
    training_mode,
)
from normreg_plugins.core.model.statistics import (
    OTHER_LAYER,
    ScaledInput,
    norm_eps,
    per_norm_channel,
    repair_statistics_,
)
