"""Crowd counting in mmengine. Importing this room registers its parts in mmengine's registries."""

from normreg_plugins.hosts.mmengine.crowd.crowd_datasets import UCFQNRF, CrowdDataset, ShanghaiTech
from normreg_plugins.hosts.mmengine.crowd.crowd_hooks import CrowdMemoryHook, CrowdVisualizationHook
from normreg_plugins.hosts.mmengine.crowd.crowd_metric import CountMetric
from normreg_plugins.hosts.mmengine.crowd.crowd_model import CrowdCounter, build_csrnet
from normreg_plugins.hosts.mmengine.crowd.crowd_sample import CrowdSample
from normreg_plugins.hosts.mmengine.crowd.crowd_transforms import (
    CrowdFlip,
    CrowdLoad,
    CrowdPack,
    CrowdRandomCrop,
    CrowdResize,
)
from normreg_plugins.hosts.mmengine.crowd.crowd_visualizer import CrowdVisualizer

__all__ = [
    "UCFQNRF",
    "CountMetric",
    "CrowdCounter",
    "CrowdDataset",
    "CrowdFlip",
    "CrowdLoad",
    "CrowdMemoryHook",
    "CrowdPack",
    "CrowdRandomCrop",
    "CrowdResize",
    "CrowdSample",
    "CrowdVisualizationHook",
    "CrowdVisualizer",
    "ShanghaiTech",
    "build_csrnet",
]
