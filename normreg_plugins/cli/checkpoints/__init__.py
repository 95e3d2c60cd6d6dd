"""Commands that convert and fold checkpoints, and their library."""
