"""The AWS paper: the norm at equilibrium, and filters without a gradient. Its tables are comparisons."""
