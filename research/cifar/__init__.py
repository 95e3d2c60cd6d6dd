"""CIFAR-10 in plain torch: its pictures, small nets, and one training with any method. A library of the comparisons."""
