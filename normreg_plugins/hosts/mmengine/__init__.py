"""mmengine and all that trains on it: importing this registers everything of ours, under names of our own."""

from mmengine.config.utils import MODULE2PACKAGE

from normreg_plugins.hosts.mmengine import adamp, cifar_resnet, crowd, layer_names
from normreg_plugins.hosts.mmengine.checkpoint_hook import NormRegCheckpointHook
from normreg_plugins.hosts.mmengine.constructor import NormRegOptimWrapperConstructor
from normreg_plugins.hosts.mmengine.detection_metric import NormRegPrecisionRecallMetric
from normreg_plugins.hosts.mmengine.ema_hook import NormRegEMAHook
from normreg_plugins.hosts.mmengine.method_hook import NormRegHook, handles_of
from normreg_plugins.hosts.mmengine.monitor_hook import NormLogHook, NormRegMonitorHook
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
]

# So that _base_ = "normreg_plugins::mini/yolov3_wrs.py" finds the configs of an installed package.
MODULE2PACKAGE.setdefault("normreg_plugins", "normreg_plugins")
