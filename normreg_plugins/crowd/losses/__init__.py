"""Losses on a density map and the points where people are: the Bayesian loss, and the squared error of CSRNet."""

from normreg_plugins.crowd.losses.bayesian_loss import BACKGROUNDS, BayesianLoss
from normreg_plugins.crowd.losses.density_map_loss import DensityMapLoss, gaussian_density
from normreg_plugins.crowd.losses.posterior import axis_distances

__all__ = ["BACKGROUNDS", "BayesianLoss", "DensityMapLoss", "axis_distances", "gaussian_density"]
