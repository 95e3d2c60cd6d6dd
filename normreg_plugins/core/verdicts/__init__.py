"""Which weights may be scaled, and how do we know: by structure, by tracing a forward, by numbers."""

from normreg_plugins.core.verdicts.by_structure import registered_after
from normreg_plugins.core.verdicts.filter_trace import FilterTrace
from normreg_plugins.core.verdicts.find import Forward, find, find_scale_invariant, reports_of
from normreg_plugins.core.verdicts.proof import overruled, prove_scale_invariant
from normreg_plugins.core.verdicts.verdict import Kind, Verdict, Verdicts
from normreg_plugins.core.verdicts.weight_report import NormReader, WeightReport
