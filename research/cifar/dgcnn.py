"""DGCNN (Wang et al. 2019), which classifies clouds of points."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from research.nets import Norm


def edges(x: Tensor, neighbours: int) -> Tensor:
    """(N, C, points) -> (N, 2C, points, neighbours): y - x and x for the nearest points y of each x, and x."""
    rows = x.transpose(1, 2)
    with torch.no_grad():
        nearest = torch.cdist(rows, rows).topk(neighbours, largest=False).indices
    places = nearest.flatten(1).unsqueeze(1).expand(-1, x.shape[1], -1)
    near = x.gather(2, places).unflatten(2, nearest.shape[1:])
    here = x.unsqueeze(3).expand_as(near)
    return torch.cat([near - here, here], 1)


def block(channels: int, filters: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, filters, 1, bias=False), norm(filters), nn.LeakyReLU(0.2))


class DGCNN(nn.Module):
    """Four edge convolutions, one convolution over their outputs, the largest and the mean response, a classifier.

    The authors' width is 64, for 64, 64, 128, 256, 1024, 512 and 256 filters; the last two are the same at any width.
    Their hidden linear layers are 1 x 1 convolutions here, so that all filters are those of convolutions. Filters begin
    with norms around sqrt(2), as He et al. say.
    """

    def __init__(self, width: int, norm: Norm, classes: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        filters = (width, width, 2 * width, 4 * width)
        self.edge = nn.ModuleList(block(2 * a, b, norm) for a, b in pairwise((3, *filters)))
        self.point = block(sum(filters), 16 * width, norm)
        first, second = block(32 * width, 512, norm), block(512, 256, norm)
        last = (nn.Flatten(), nn.Linear(256, classes))
        self.head = nn.Sequential(first, nn.Dropout(0.5), second, nn.Dropout(0.5), *last)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, points: Tensor) -> Tensor:
        """Logits of clouds (N, 3, points)."""
        found = [points]
        for layer in self.edge:
            found.append(layer(edges(found[-1], self.neighbours)).amax(3))
        each = self.point(torch.cat(found[1:], 1).unsqueeze(3))
        return self.head(torch.cat([each.amax((2, 3), keepdim=True), each.mean((2, 3), keepdim=True)], 1))
