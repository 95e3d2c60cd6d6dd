"""Crowd counting in mmengine. Importing this room registers its parts in mmengine's registries."""

from normreg_plugins.hosts.mmengine.crowd.crowd_data import (
    UCFQNRF,
    CrowdDataset,
    CrowdFlip,
    CrowdLoad,
    CrowdPack,
    CrowdRandomCrop,
    CrowdSample,
    ShanghaiTech,
)
from normreg_plugins.hosts.mmengine.crowd.crowd_drawing import CrowdVisualizationHook
from normreg_plugins.hosts.mmengine.crowd.crowd_model import CountMetric, CrowdCounter, build_csrnet

__all__ = [
    "UCFQNRF",
    "CountMetric",
    "CrowdCounter",
    "CrowdDataset",
    "CrowdFlip",
    "CrowdLoad",
    "CrowdPack",
    "CrowdRandomCrop",
    "CrowdSample",
    "CrowdVisualizationHook",
    "ShanghaiTech",
    "build_csrnet",
]
