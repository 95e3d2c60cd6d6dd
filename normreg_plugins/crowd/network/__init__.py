"""CSRNet: the network, prediction of large images in tiles, and its ImageNet weights."""

from normreg_plugins.crowd.network.csrnet import STRIDE, CSRNet, predict_density, receptive_radius
from normreg_plugins.crowd.network.vgg16_weights import WeightFileError, find_weights, load_vgg16

__all__ = [
    "STRIDE",
    "CSRNet",
    "WeightFileError",
    "find_weights",
    "load_vgg16",
    "predict_density",
    "receptive_radius",
]
