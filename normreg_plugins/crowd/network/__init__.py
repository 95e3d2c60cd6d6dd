"""CSRNet, and torchvision's VGG16 under its names."""

from normreg_plugins.crowd.network.csrnet import STRIDE, CSRNet, named_as_csrnet

__all__ = ["STRIDE", "CSRNet", "named_as_csrnet"]
