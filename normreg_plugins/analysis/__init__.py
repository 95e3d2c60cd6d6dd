"""What training does to the weights: numbers of filter norms, and their plots."""

from normreg_plugins.analysis.norm_plot import norm_rows, plot_norms
from normreg_plugins.analysis.norms import norm_summary
from normreg_plugins.analysis.rate_at_start import RateAtStart, rate_at_start

__all__ = ["RateAtStart", "norm_rows", "norm_summary", "plot_norms", "rate_at_start"]
