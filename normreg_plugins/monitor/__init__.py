"""What training does to weights: filter norms, effective rates, rotation, shapes, and their plots.

A plot needs matplotlib, which is imported when it is drawn. The modules `weight_shapes` and `rate_study` need numpy and
scipy when they are imported: import from them by name.
"""

from normreg_plugins.monitor.monitor import Monitor
from normreg_plugins.monitor.norm_plot import plot_layers, plot_runs
from normreg_plugins.monitor.norms import norm_summary
from normreg_plugins.monitor.rate_at_start import RateAtStart, rate_at_start
from normreg_plugins.monitor.report import Report, Row
from normreg_plugins.monitor.run_files import JsonLinesSink, Run, read_run
from normreg_plugins.monitor.run_logs import log_of, logs_of
from normreg_plugins.monitor.verdict_plot import plot_verdicts

__all__ = [
    "JsonLinesSink",
    "Monitor",
    "RateAtStart",
    "Report",
    "Row",
    "Run",
    "log_of",
    "logs_of",
    "norm_summary",
    "plot_layers",
    "plot_runs",
    "plot_verdicts",
    "rate_at_start",
    "read_run",
]
