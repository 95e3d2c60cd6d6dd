"""Clouds of points on the surfaces of six solids, instead of ModelNet40's 40 kinds of objects."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def sphere(n: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(n, 3), dim=1)


def cube(n: int) -> Tensor:
    """A random point on a random face: one coordinate is -1 or 1."""
    points = torch.rand(n, 3) * 2 - 1
    points[torch.arange(n), torch.randint(3, (n,))] = torch.randint(2, (n,)) * 2.0 - 1
    return points


def cylinder(n: int) -> Tensor:
    """Two discs and a side between them, of the areas pi, pi and 4 pi."""
    on_side = torch.rand(n) < 2 / 3
    radius = torch.where(on_side, torch.ones(n), torch.rand(n).sqrt())
    height = torch.where(on_side, torch.rand(n) * 2 - 1, torch.randint(2, (n,)) * 2.0 - 1)
    return _around_the_axis(radius, height)


def cone(n: int) -> Tensor:
    """A disc and a mantle that ends in a point, of the areas pi and pi sqrt(5)."""
    on_disc = torch.rand(n) < 1 / (1 + 5**0.5)
    radius = torch.rand(n).sqrt()
    return _around_the_axis(radius, torch.where(on_disc, -torch.ones(n), 1 - 2 * radius))


def torus(n: int) -> Tensor:
    """A tube of radius 0.4 around a circle of radius 1; nearly uniform."""
    angle = torch.rand(n) * 2 * math.pi
    return _around_the_axis(1 + 0.4 * angle.cos(), 0.4 * angle.sin())


def pyramid(n: int) -> Tensor:
    """A square and four triangles: a cube's points, drawn in to the axis with their height."""
    points = cube(n)
    points[:, :2] *= ((1 - points[:, 2:]) / 2).clamp_min(0.02)
    return points


SOLIDS: dict[str, Callable[[int], Tensor]] = {
    solid.__name__: solid for solid in (sphere, cube, cylinder, cone, torus, pyramid)
}


def _around_the_axis(radius: Tensor, height: Tensor) -> Tensor:
    turn = torch.rand(len(radius)) * 2 * math.pi
    return torch.stack([radius * turn.cos(), radius * turn.sin(), height], dim=1)


def clouds(count: int, points: int = 128, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    """Clouds (count, 3, points) in the unit ball, and their classes.

    Each is stretched along its axes by 0.6 to 1.4, turned around the up-axis, and jittered (constrained paper, 4.2.1).
    """
    labels = torch.arange(count) % len(SOLIDS)
    drawn = torch.stack([list(SOLIDS.values())[label](points) for label in labels.tolist()])
    drawn = drawn * (0.6 + 0.8 * torch.rand(count, 1, 3))
    drawn = torch.einsum("cpi,cij->cpj", drawn, _turns(count)) + noise * torch.randn_like(drawn)
    drawn = drawn - drawn.mean(1, keepdim=True)
    return (drawn / drawn.norm(dim=2).amax(1).view(-1, 1, 1)).transpose(1, 2), labels


def _turns(count: int) -> Tensor:
    angle = torch.rand(count) * 2 * math.pi
    rotations = torch.zeros(count, 3, 3)
    rotations[:, 0, 0] = rotations[:, 1, 1] = angle.cos()
    rotations[:, 0, 1], rotations[:, 1, 0], rotations[:, 2, 2] = angle.sin(), -angle.sin(), 1.0
    return rotations
