"""What training does to weights: filter norms, effective rates, rotation, shapes, and their plots.

Plots need matplotlib, shapes need scipy: import those from `analysis.norm_plot` and `analysis.weight_shapes`.
"""

from normreg_plugins.analysis.monitor import Monitor
from normreg_plugins.analysis.norms import norm_summary
from normreg_plugins.analysis.rate_at_start import RateAtStart, rate_at_start
from normreg_plugins.analysis.report import Report, Row
from normreg_plugins.analysis.run_files import JsonLinesSink, Run, read_run

__all__ = [
    "JsonLinesSink",
    "Monitor",
    "RateAtStart",
    "Report",
    "Row",
    "Run",
    "norm_summary",
    "rate_at_start",
    "read_run",
]
