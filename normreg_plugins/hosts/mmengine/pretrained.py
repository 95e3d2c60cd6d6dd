"""`init_cfg=dict(type="NormRegPretrained", ...)`: mm's checkpoints in networks whose layers we replace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from mmengine.model.weight_init import PretrainedInit, update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from normreg_plugins.layers import load_pretrained_


@WEIGHT_INITIALIZERS.register_module()
class NormRegPretrained(PretrainedInit):
    """mm's `Pretrained` for networks with scale-bias layers or weight-normalized convolutions: they compute what the
    checkpoint's network computed.

        backbone=dict(norm_cfg=scale_bias, init_cfg=dict(type="NormRegPretrained", checkpoint="torchvision://resnet101"))

    On the model itself it does what `load_from` does. `load_from` cannot, because it only copies values.

    Args:
        checkpoint, prefix, map_location: as in `Pretrained`.
        c, center, eps: see `load_pretrained_`. Set `center` for PGD with `center=True`, the default.
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: str | None = None,
        map_location: str = "cpu",
        c: float = 2.0,
        center: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(checkpoint, prefix, map_location)
        self._options: dict[str, Any] = {"c": c, "center": center, "eps": eps}

    def __call__(self, module: nn.Module) -> None:
        _initialize_children(module)
        checkpoint = CheckpointLoader.load_checkpoint(self.checkpoint, self.map_location, logger="current")
        state = _without(self.prefix, checkpoint.get("state_dict", checkpoint))
        rename = getattr(module, "rename_pretrained", None)  # a model with other names than the published checkpoint
        loaded = load_pretrained_(module, rename(state) if rename else state, **self._options)
        print_log(f"{self.checkpoint} in {type(module).__name__}: {loaded}", logger="current")
        if hasattr(module, "_params_init_info"):
            update_init_info(module, init_info=self._get_init_info())


def _initialize_children(module: nn.Module) -> None:
    """mmengine would initialize them afterwards, unless the type is its own 'Pretrained', and undo what we load."""
    children: list[Any] = list(module.children())
    for child in children:
        if hasattr(child, "init_weights") and not getattr(child, "is_init", False):
            child.init_weights()
            child.is_init = True


def _without(prefix: str | None, state: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of this prefix, without it; as in mm's `load_from`, without the 'module.' of a wrapped model too."""
    plain = {name.removeprefix("module."): value for name, value in state.items()}
    start = f"{prefix.rstrip('.')}." if prefix else ""
    found = {name.removeprefix(start): value for name, value in plain.items() if name.startswith(start)}
    if not found:
        raise ValueError(f"prefix={prefix!r}: no entry of the checkpoint begins so")
    return found
