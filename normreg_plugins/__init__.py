"""Control the filter norms of weights whose scale a network cannot see, by WRS, AWS or constrained PGD."""

import importlib
import sys

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
from normreg_plugins.core.methods import CorrectedDecay, Hyperball
from normreg_plugins.hosts.methods import register_method

__version__ = "0.1.0"

__all__ = [
    "AdaptiveWeightShrink",
    "CorrectedDecay",
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

if "mmengine" in sys.modules:  # always so in an mm config: custom_imports = dict(imports=["normreg_plugins"])
    importlib.import_module("normreg_plugins.hosts.mmengine")
