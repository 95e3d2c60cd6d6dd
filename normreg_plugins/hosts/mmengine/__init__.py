"""mmengine and all that trains on it: importing this registers everything of ours, under names of our own."""

from normreg_plugins.hosts.mmengine import adamp, cifar_resnet, crowd, layer_names
from normreg_plugins.hosts.mmengine.checkpoint_hook import NormRegCheckpointHook
from normreg_plugins.hosts.mmengine.constructor import NormRegOptimWrapperConstructor
from normreg_plugins.hosts.mmengine.detection_metric import NormRegPrecisionRecallMetric
from normreg_plugins.hosts.mmengine.ema_hook import NormRegEMAHook
from normreg_plugins.hosts.mmengine.method_hook import NormRegHook, handles_of
from normreg_plugins.hosts.mmengine.monitor_hook import NormLogHook, NormRegMonitorHook
from normreg_plugins.hosts.mmengine.read_config import read_config
from normreg_plugins.hosts.mmengine.regularizers import build_regularizer

__all__ = [
    "NormLogHook",
    "NormRegCheckpointHook",
    "NormRegEMAHook",
    "NormRegHook",
    "NormRegMonitorHook",
    "NormRegOptimWrapperConstructor",
    "NormRegPrecisionRecallMetric",
    "adamp",
    "build_regularizer",
    "cifar_resnet",
    "crowd",
    "handles_of",
    "layer_names",
    "read_config",
]
