"""Weight norm control for weights whose scale a network cannot see: WRS, AWS and constrained PGD."""

import sys

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

if "mmengine" in sys.modules:  # so that custom_imports = dict(imports=["normreg_plugins"]) is all an mm config needs
    import normreg_plugins.hosts.mmengine  # noqa: F401
