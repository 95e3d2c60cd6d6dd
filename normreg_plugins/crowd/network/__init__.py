"""CSRNet and its ImageNet weights."""

from normreg_plugins.crowd.network.csrnet import STRIDE, CSRNet
from normreg_plugins.crowd.network.vgg16_weights import WeightFileError, load_vgg16

__all__ = ["STRIDE", "CSRNet", "WeightFileError", "load_vgg16"]
