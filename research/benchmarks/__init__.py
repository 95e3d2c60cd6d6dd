"""What the package costs: a pass, a training step, the layers, the losses."""
