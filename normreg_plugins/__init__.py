"""Weight norm control for networks whose scale cannot be seen: WRS, AWS and constrained PGD, for any torch optimizer."""

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
