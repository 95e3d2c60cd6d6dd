"""CSRNet: the network, its ImageNet weights, prediction of large images in tiles, and the memory of a training step."""

from normreg_plugins.crowd.network.csrnet import STRIDE, CSRNet, receptive_radius
from normreg_plugins.crowd.network.step_memory import GIB, StepMemory, step_memory
from normreg_plugins.crowd.network.tiled_prediction import predict_density
from normreg_plugins.crowd.network.vgg16_weights import WeightFileError, find_weights, load_vgg16

__all__ = [
    "GIB",
    "STRIDE",
    "CSRNet",
    "StepMemory",
    "WeightFileError",
    "find_weights",
    "load_vgg16",
    "predict_density",
    "receptive_radius",
    "step_memory",
]
