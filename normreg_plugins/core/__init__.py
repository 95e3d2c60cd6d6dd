"""The methods and what they need, on torch alone."""

from normreg_plugins.core.methods import (
    METHODS,
    AdaptiveWeightShrink,
    Method,
    SphereDescent,
    WeightRescaling,
    register_method,
)
from normreg_plugins.core.training import Handle, attach, correct_average_
from normreg_plugins.core.verdicts import Kind, Verdict, Verdicts, find_scale_invariant, prove_scale_invariant

__all__ = [
    "METHODS",
    "AdaptiveWeightShrink",
    "Handle",
    "Kind",
    "Method",
    "SphereDescent",
    "Verdict",
    "Verdicts",
    "WeightRescaling",
    "attach",
    "correct_average_",
    "find_scale_invariant",
    "prove_scale_invariant",
    "register_method",
]
