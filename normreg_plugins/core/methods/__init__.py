"""The methods, one file each: equation, function, class."""

from normreg_plugins.core.methods.aws import AdaptiveWeightShrink
from normreg_plugins.core.methods.base import DecayOn, Method, Rates
from normreg_plugins.core.methods.corrected_decay import CorrectedDecay
from normreg_plugins.core.methods.hyperball import Hyperball
from normreg_plugins.core.methods.pgd import SphereDescent
from normreg_plugins.core.methods.target import Scaled, Target, scale_
from normreg_plugins.core.methods.wd import WeightDecay
from normreg_plugins.core.methods.wrs import WeightRescaling
