"""The Bayesian loss on a density map and the points where people are."""

from normreg_plugins.crowd.losses.bayesian_loss import BayesianLoss

__all__ = ["BayesianLoss"]
