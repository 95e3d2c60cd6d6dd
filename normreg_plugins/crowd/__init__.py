"""Crowd counting: CSRNet, the Bayesian loss, and what surrounds them. These parts need torch only."""

from normreg_plugins.crowd.bayesian import BayesianLoss
from normreg_plugins.crowd.density import DensityMapLoss, gaussian_density

__all__ = ["BayesianLoss", "DensityMapLoss", "gaussian_density"]
