"""Effective learning rates, shapes of weights and spaces of inputs: measures that the studies use."""
