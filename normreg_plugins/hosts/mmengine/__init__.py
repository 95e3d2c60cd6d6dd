"""mmengine and all that trains on it. Importing this registers our parts and changes none of the host's.

Names begin with NormReg, except those of crowd counting, which no mm package has: CSRNet, BayesianLoss, Crowd*.
"""

from normreg_plugins.hosts.methods import build_regularizer
from normreg_plugins.hosts.mmengine import cifar_resnet, config_names, crowd, plain_cnn
from normreg_plugins.hosts.mmengine.checkpoint_hook import NormRegCheckpointHook
from normreg_plugins.hosts.mmengine.config import read_config
from normreg_plugins.hosts.mmengine.constructor import NormRegOptimWrapperConstructor
from normreg_plugins.hosts.mmengine.detection_metric import NormRegPrecisionRecallMetric
from normreg_plugins.hosts.mmengine.ema_hook import NormRegEMAHook
from normreg_plugins.hosts.mmengine.method_hook import NormRegHook, handles_of
from normreg_plugins.hosts.mmengine.monitor_hook import NormRegMonitorHook
from normreg_plugins.hosts.mmengine.pretrained import NormRegPretrained

__all__ = [
    "NormRegCheckpointHook",
    "NormRegEMAHook",
    "NormRegHook",
    "NormRegMonitorHook",
    "NormRegOptimWrapperConstructor",
    "NormRegPrecisionRecallMetric",
    "NormRegPretrained",
    "build_regularizer",
    "cifar_resnet",
    "config_names",
    "crowd",
    "handles_of",
    "plain_cnn",
    "read_config",
]
