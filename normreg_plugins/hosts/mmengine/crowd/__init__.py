"""Crowd counting in mmengine. Importing this room registers its parts in mmengine's registries."""

from normreg_plugins.hosts.mmengine.crowd.crowd_data import CrowdRandomCrop, CrowdSample
from normreg_plugins.hosts.mmengine.crowd.crowd_drawing import CrowdVisualizationHook
from normreg_plugins.hosts.mmengine.crowd.crowd_model import CrowdCounter, build_csrnet

__all__ = ["CrowdCounter", "CrowdRandomCrop", "CrowdSample", "CrowdVisualizationHook", "build_csrnet"]
