"""Clouds of points under constrained weights (constrained paper, section 4.2 and Table 5), on drawn solids.

The net is a small DGCNN (Wang et al. 2019): each layer compares every point with its nearest neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from normreg_plugins import SphereDescent, attach
from normreg_plugins.layers import ScaleBias, weight_decay_groups
from research.tables import study
from research.tables.pgd.solids import SOLIDS, clouds
from research.tables.study import Study, axis, cross_table, grid, mean_and_error

BATCH, TESTED, NEIGHBOURS = 24, 600, 8
DECAY, SIGMA = 1e-3, 0.4
"""The paper's decay for its CNN on CIFAR, which it does not give for points, and its noise for points."""
METHODS = axis("method", ("batch norm", "PGD", "PGD, no noise", "neither"))
RATES = axis("rate", (0.03, 0.1), "rate {:g}")

Norm = Callable[[int], nn.Module]


class EdgeConv(nn.Module):
    """The largest response over the k nearest neighbours y of each point x to (x, y - x)."""

    def __init__(self, channels: int, filters: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, filters, 1, bias=False)
        self.norm = norm(filters)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.transpose(1, 2)
        nearest = torch.cdist(rows, rows).topk(NEIGHBOURS + 1, largest=False).indices[..., 1:]
        neighbours = torch.stack([cloud[places] for cloud, places in zip(rows, nearest, strict=True)])
        centres = rows.unsqueeze(2).expand_as(neighbours)
        edges = torch.cat([centres, neighbours - centres], dim=3).permute(0, 3, 1, 2)
        return F.leaky_relu(self.norm(self.conv(edges)), 0.2).amax(3)


class PointNet(nn.Module):
    """Two edge convolutions, one convolution over their outputs, the largest response of all points, a classifier."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.edge1, self.edge2 = EdgeConv(3, 16, norm), EdgeConv(16, 32, norm)
        self.conv, self.norm = nn.Conv1d(48, 64, 1, bias=False), norm(64)
        self.output = nn.Linear(64, len(SOLIDS))

    def forward(self, points: Tensor) -> Tensor:
        first = self.edge1(points)
        both = torch.cat([first, self.edge2(first)], dim=1)
        return self.output(F.leaky_relu(self.norm(self.conv(both)), 0.2).amax(2))


class BatchNorm(nn.BatchNorm1d):
    """Batch norm over any number of axes behind the channels."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    method: str
    rate: float


@dataclass(frozen=True)
class Outcome:
    accuracy: float


Results = study.Results[Run, Outcome]


def train(run: Run) -> Outcome:
    """As in the paper: SGD with momentum on a cosine, clouds turned and jittered anew in each batch."""
    torch.manual_seed(run.seed)
    sigma = SIGMA if run.method == "PGD" else 0.0
    net = PointNet(BatchNorm if run.method == "batch norm" else lambda channels: ScaleBias(channels, sigma))
    optimizer = torch.optim.SGD(weight_decay_groups(net, DECAY), run.rate, momentum=0.9)
    if run.method.startswith("PGD"):
        attach(optimizer, net, SphereDescent())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, run.updates)
    for _ in range(run.updates):
        points, labels = clouds(BATCH)
        optimizer.zero_grad()
        F.cross_entropy(net(points), labels).backward()
        optimizer.step()
        schedule.step()
    points, labels = clouds(TESTED)
    with torch.no_grad():
        correct = net.eval()(points).argmax(1) == labels
    return Outcome(100 * correct.float().mean().item())


def table(results: Results) -> Table:
    title = f"clouds of 128 points on {len(SOLIDS)} solids, a small DGCNN: test accuracy %"
    return cross_table(title, results, METHODS, RATES, lambda mine: mean_and_error(mine.each("accuracy")))


STUDY = Study(200, grid(Run, METHODS, RATES), train, table)
