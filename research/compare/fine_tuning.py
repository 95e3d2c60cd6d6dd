"""The rows of the tables of fine-tuning: the settings that make each method of a config with weight decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

METHOD = "optim_wrapper.regularizer"
DECAY = "optim_wrapper.paramwise_cfg"


def rows(
    parts: Sequence[str], alpha: float, interval: int = 10, init: str = "model.backbone.init_cfg"
) -> dict[str, Any]:
    """Weight decay, and what replaces it.

    Args:
        parts: of the model, whose convolutions and norm layers the methods need in another form.
        alpha: of AWS. Its standard deviation of a filter is far below 1, so this is far above a weight decay.
        interval: of WRS.
        init: the init_cfg that loads the pretrained weights.
    """
    wrs = {f"{METHOD}.type": "WRS", f"{METHOD}.interval": interval}
    follows = {f"{init}.type": "NormRegPretrained"}  # mm's own copies values, whatever the layers do with them
    return {
        "wd": {},
        "corrected": {f"{METHOD}.type": "CorrectedDecay"},
        "wrs": wrs,
        "wrs_initial": {**wrs, f"{METHOD}.radius": "initial"},
        "aws": {
            f"{METHOD}.type": "AWS",
            f"{METHOD}.alpha": alpha,
            f"{DECAY}.bias_decay_mult": 0.0,
            **follows,
            **_in_all(parts, "conv_cfg.type", "NormRegWSConv2d"),
        },
        "pgd": {
            f"{METHOD}.type": "PGD",
            f"{METHOD}.center": False,
            f"{DECAY}.flat_decay_mult": 0.0,
            **follows,
            **_in_all(parts, "norm_cfg", {"type": "NormRegScaleBias"}),
        },
    }


def _in_all(parts: Sequence[str], key: str, value: Any) -> Mapping[str, Any]:
    return {f"model.{part}.{key}": value for part in parts}
