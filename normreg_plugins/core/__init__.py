"""The methods and what they need, on torch alone."""

from normreg_plugins.core.methods import (
    AdaptiveWeightShrink,
    Method,
    SphereDescent,
    WeightDecay,
    WeightRescaling,
)
from normreg_plugins.core.training import Handle, attach, correct_average_
from normreg_plugins.core.verdicts import Kind, Verdict, Verdicts, find_scale_invariant, prove_scale_invariant
