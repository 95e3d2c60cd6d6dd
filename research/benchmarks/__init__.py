"""What the package costs: `step` (a pass, a training step, the layers, the losses) and `growth` (weights, ranks)."""
