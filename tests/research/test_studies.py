"""Clouds of points: the solids are what they are called, the net sees no order of points, and PGD trains it."""

from types import SimpleNamespace

import pytest
import torch
from research.studies.drawn_solids import SOLIDS, clouds
from research.studies.pgd_points import EdgeConv, PointNet, Run, train
from torch import nn

from normreg_plugins import SphereDescent, attach
from normreg_plugins.layers import ScaleBias

ON_SURFACE = {  # how far a point p with the distance p.r from the axis is from the surface
    "sphere": lambda p: (p.r.square() + p.z.square() - 1).abs(),
    "cube": lambda p: (torch.stack([p.x.abs(), p.y.abs(), p.z.abs()]).amax(0) - 1).abs(),
    "cylinder": lambda p: torch.minimum((p.r - 1).abs(), (p.z.abs() - 1).abs()) + (p.r - 1).clamp_min(0),
    "cone": lambda p: torch.minimum((p.r - (1 - p.z) / 2).abs(), (p.z + 1).abs()),
    "torus": lambda p: ((p.r - 1).square() + p.z.square() - 0.16).abs(),
    "pyramid": lambda p: torch.minimum(
        (torch.maximum(p.x.abs(), p.y.abs()) - (1 - p.z) / 2).abs(), torch.minimum((p.z + 1).abs(), (p.z - 1).abs())
    ),
}


def no_norm(_):
    return nn.Identity()


@pytest.mark.parametrize("name", SOLIDS)
def test_every_point_lies_on_the_surface(name):
    torch.manual_seed(0)
    x, y, z = SOLIDS[name](2000).unbind(1)
    off = ON_SURFACE[name](SimpleNamespace(x=x, y=y, z=z, r=(x.square() + y.square()).sqrt()))
    assert off.max() < 0.021  # the tip of the pyramid is that wide
    assert min(each.std() for each in (x, y, z)) > 0.2


def test_clouds_have_all_classes_and_the_unit_ball():
    torch.manual_seed(0)
    points, labels = clouds(12)
    assert points.shape == (12, 3, 128)
    assert labels.bincount().tolist() == [2] * len(SOLIDS)
    torch.testing.assert_close(points.norm(dim=1).amax(1), torch.ones(12))


def test_an_edge_convolution_is_the_largest_answer_over_the_nearest_points():
    """Against a loop over points and neighbours."""
    torch.manual_seed(0)
    layer, x = EdgeConv(3, 4, no_norm), torch.randn(2, 3, 12)
    weight = layer.conv.weight.detach().flatten(1)
    for cloud, found in zip(x, layer(x), strict=True):
        for i in range(12):
            nearest = (cloud - cloud[:, i : i + 1]).norm(dim=0).argsort()[1:9]
            edges = [weight @ torch.cat([cloud[:, i], cloud[:, j] - cloud[:, i]]) for j in nearest]
            expected = nn.functional.leaky_relu(torch.stack(edges), 0.2).amax(0)
            torch.testing.assert_close(found[:, i], expected)


def test_the_order_of_the_points_does_not_matter():
    net, (points, _) = PointNet(ScaleBias), clouds(6)
    torch.testing.assert_close(net(points[..., torch.randperm(128)]), net(points))


def test_pgd_takes_every_convolution_and_not_the_classifier():
    net = PointNet(ScaleBias)
    handle = attach(torch.optim.SGD(net.parameters(), lr=0.1), net, SphereDescent())
    assert {*handle.targets} == {"edge1.conv.weight", "edge2.conv.weight", "conv.weight"}


def test_it_learns():
    torch.set_num_threads(1)
    assert train(Run("PGD", rate=0.1, seed=0, updates=60)).accuracy > 40  # 17 by chance
