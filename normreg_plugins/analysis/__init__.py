"""What training does to the weights: numbers of filter norms, and their plots."""
