"""Crowd counting in mmengine: importing this registers all its parts in mmengine's own registries."""

from normreg_plugins.crowd.mm.datasets import UCFQNRF, CrowdDataset, ShanghaiTech
from normreg_plugins.crowd.mm.hooks import CrowdMemoryHook, CrowdVisualizationHook
from normreg_plugins.crowd.mm.metric import CountMetric
from normreg_plugins.crowd.mm.model import CrowdCounter, build_csrnet
from normreg_plugins.crowd.mm.sample import CrowdSample
from normreg_plugins.crowd.mm.transforms import (
    CrowdFlip,
    CrowdLoad,
    CrowdPack,
    CrowdRandomCrop,
    CrowdResize,
)
from normreg_plugins.crowd.mm.visualizer import CrowdVisualizer

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
