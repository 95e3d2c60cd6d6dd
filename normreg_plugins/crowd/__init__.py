"""Crowd counting: CSRNet, the Bayesian loss, and what surrounds them.

What stands here needs torch only. Reading and preparing data sets (`images`, `annotations`,
`prepare`) needs numpy, scipy and OpenCV; the parts for mmengine are in `crowd.mm`.
"""

from normreg_plugins.crowd.bayesian import BayesianLoss
from normreg_plugins.crowd.csrnet import CSRNet
from normreg_plugins.crowd.density import DensityMapLoss, gaussian_density
from normreg_plugins.crowd.memory import StepMemory, step_memory
from normreg_plugins.crowd.predict import predict_density
from normreg_plugins.crowd.vgg import load_vgg16

__all__ = [
    "BayesianLoss",
    "CSRNet",
    "DensityMapLoss",
    "StepMemory",
    "gaussian_density",
    "load_vgg16",
    "predict_density",
    "step_memory",
]
