"""mmengine and all that trains on it: importing this registers everything of ours."""

from normreg_plugins.hosts.mmengine import crowd, layers, optimizers
from normreg_plugins.hosts.mmengine.checkpoint import CheckpointHook
from normreg_plugins.hosts.mmengine.constructor import NormRegOptimWrapperConstructor
from normreg_plugins.hosts.mmengine.ema import EMAHook
from normreg_plugins.hosts.mmengine.hooks import NormLogHook, NormRegHook
from normreg_plugins.hosts.mmengine.regularizers import REGULARIZERS

__all__ = [
    "REGULARIZERS",
    "CheckpointHook",
    "EMAHook",
    "NormLogHook",
    "NormRegHook",
    "NormRegOptimWrapperConstructor",
    "crowd",
    "layers",
    "optimizers",
]
