"""Control the filter norms of weights whose scale a network cannot see, by WRS, AWS or constrained PGD."""

from normreg_plugins.core import (
    AdaptiveWeightShrink,
    Handle,
    Kind,
    Method,
    SphereDescent,
    Verdict,
    Verdicts,
    WeightDecay,
    WeightRescaling,
    attach,
    correct_average_,
    find_scale_invariant,
    prove_scale_invariant,
)
from normreg_plugins.core.methods import Hyperball
from normreg_plugins.hosts.method_names import register_method
from normreg_plugins.hosts.on_import import register_with

__version__ = "0.1.0"

__all__ = [
    "AdaptiveWeightShrink",
    "Handle",
    "Hyperball",
    "Kind",
    "Method",
    "SphereDescent",
    "Verdict",
    "Verdicts",
    "WeightDecay",
    "WeightRescaling",
    "attach",
    "correct_average_",
    "find_scale_invariant",
    "prove_scale_invariant",
    "register_method",
]

# So that custom_imports = dict(imports=["normreg_plugins"]) is all an mm config needs.
register_with("mmengine", "normreg_plugins.hosts.mmengine")
