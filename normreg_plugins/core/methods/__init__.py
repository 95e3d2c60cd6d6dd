"""What the papers do to weights: one file per paper, read top to bottom: equation, function, class."""

from normreg_plugins.core.methods.aws import AdaptiveWeightShrink
from normreg_plugins.core.methods.base import Method, Rates
from normreg_plugins.core.methods.options import check_names
from normreg_plugins.core.methods.pgd import SphereDescent
from normreg_plugins.core.methods.scaling import Scaled, Target, target_of
from normreg_plugins.core.methods.table import METHODS, register_method
from normreg_plugins.core.methods.wrs import WeightRescaling

__all__ = [
    "METHODS",
    "AdaptiveWeightShrink",
    "Method",
    "Rates",
    "Scaled",
    "SphereDescent",
    "Target",
    "WeightRescaling",
    "check_names",
    "register_method",
    "target_of",
]
