"""Counting people in crowds: CSRNet, the Bayesian loss, and the reading and preparation of crowd data sets.

The names below need torch only; to call `count` needs numpy, Pillow, scipy and OpenCV, as does the room `crowd.data`.
The parts for mmengine are in `hosts.mmengine.crowd`, the scores in `evaluation`.
"""

from normreg_plugins.crowd.counter import Counted, Counter, count, load_counter
from normreg_plugins.crowd.losses import BayesianLoss
from normreg_plugins.crowd.network import CSRNet, named_as_csrnet

__all__ = ["BayesianLoss", "CSRNet", "Counted", "Counter", "count", "load_counter", "named_as_csrnet"]
