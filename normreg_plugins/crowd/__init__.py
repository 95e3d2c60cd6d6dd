"""Counting people in crowds: CSRNet, the Bayesian loss, and the reading and preparation of crowd data sets.

The names below need torch only. The room `crowd.data` also needs numpy, Pillow, scipy and OpenCV. The parts for
mmengine are in `hosts.mmengine.crowd`, the scores in `evaluation`.
"""

from normreg_plugins.crowd.losses import BayesianLoss, DensityMapLoss, gaussian_density
from normreg_plugins.crowd.network import CSRNet, load_vgg16, predict_density

__all__ = ["BayesianLoss", "CSRNet", "DensityMapLoss", "gaussian_density", "load_vgg16", "predict_density"]
