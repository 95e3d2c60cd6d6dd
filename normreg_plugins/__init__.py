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
from normreg_plugins.hosts.on_import import register_with

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

# So that custom_imports = dict(imports=["normreg_plugins"]) is all an mm config needs.
register_with("mmengine", "normreg_plugins.hosts.mmengine")
