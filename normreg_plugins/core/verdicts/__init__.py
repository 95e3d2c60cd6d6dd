"""Which weights may be scaled, and how do we know: by structure, by watching a forward, by numbers."""

from normreg_plugins.core.verdicts.by_numbers import prove_scale_invariant
from normreg_plugins.core.verdicts.by_tracing import Forward, reports_of
from normreg_plugins.core.verdicts.filter_trace import FilterTrace
from normreg_plugins.core.verdicts.find import find, find_scale_invariant, overruled
from normreg_plugins.core.verdicts.norm_reader import NormReader
from normreg_plugins.core.verdicts.verdict import Kind, Verdict, Verdicts
from normreg_plugins.core.verdicts.weight_report import WeightReport

__all__ = [
    "FilterTrace",
    "Forward",
    "Kind",
    "NormReader",
    "Verdict",
    "Verdicts",
    "WeightReport",
    "find",
    "find_scale_invariant",
    "overruled",
    "prove_scale_invariant",
    "reports_of",
]
