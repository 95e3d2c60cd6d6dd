"""Weight norm control for weights whose scale a network cannot see: WRS, AWS and constrained PGD."""

from normreg_plugins.core import (
    AdaptiveWeightShrink,
    Handle,
    Kind,
    SphereDescent,
    Verdict,
    Verdicts,
    WeightRescaling,
    attach,
    correct_average_,
    find_scale_invariant,
    prove_scale_invariant,
)

__version__ = "0.1.0"

__all__ = [
    "AdaptiveWeightShrink",
    "Handle",
    "Kind",
    "SphereDescent",
    "Verdict",
    "Verdicts",
    "WeightRescaling",
    "attach",
    "correct_average_",
    "find_scale_invariant",
    "prove_scale_invariant",
]
