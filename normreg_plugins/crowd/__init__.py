"""Counting people in crowds: CSRNet, the Bayesian loss, and the reading and preparation of crowd data sets.

The names below need torch only. The room `crowd.data` also needs numpy, Pillow, scipy and OpenCV. The parts for
mmengine are in `hosts.mmengine.crowd`, the scores in `evaluation`.
"""

from normreg_plugins.crowd.losses import BayesianLoss
from normreg_plugins.crowd.network import CSRNet, load_vgg16

__all__ = ["BayesianLoss", "CSRNet", "load_vgg16"]
