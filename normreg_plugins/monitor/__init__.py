"""What training does to weights: filter norms, effective rates, rotation, warnings and plots.

A plot needs matplotlib, which is imported when it is drawn.
"""

from normreg_plugins.monitor.files import FILE, JsonLinesSink, Run, log_of, logs_of, read_run
from normreg_plugins.monitor.monitor import EVERY, Monitor
from normreg_plugins.monitor.plots import plot_layers, plot_runs
from normreg_plugins.monitor.rate_at_start import RateAtStart, change_at_start, rate_at_start
from normreg_plugins.monitor.report import Report, Row

__all__ = [
    "EVERY",
    "FILE",
    "JsonLinesSink",
    "Monitor",
    "RateAtStart",
    "Report",
    "Row",
    "Run",
    "change_at_start",
    "log_of",
    "logs_of",
    "plot_layers",
    "plot_runs",
    "rate_at_start",
    "read_run",
]
