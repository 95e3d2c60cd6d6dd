"""The methods and what they need, on torch alone."""

from normreg_plugins.core.attach import attach
from normreg_plugins.core.average import correct_average_
from normreg_plugins.core.discover import find_scale_invariant
from normreg_plugins.core.handle import Handle
from normreg_plugins.core.methods import AdaptiveWeightShrink, Method, SphereDescent, WeightRescaling
from normreg_plugins.core.prove import prove_scale_invariant
from normreg_plugins.core.verdict import Kind, Verdict, Verdicts

__all__ = [
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
]
