"""Libraries that several rooms of tools/ use."""
