"""The separable Bayesian loss against the softmax it stands for: value and gradient."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from normreg_plugins.crowd import BayesianLoss
from normreg_plugins.crowd.losses.bayesian_loss import checked_maps

SIDE = 512  # pixels of the crop
CELLS = SIDE // 8
BACKGROUNDS = [(None, 0.0), ("margin", 0.15 * SIDE), ("ratio", 1.0 * SIDE)]


def dense_bayesian_loss(
    density: Tensor,
    points: Tensor,
    *,
    targets: Tensor | None = None,
    sigma: float = 8.0,
    stride: int = 8,
    background: str | None = None,
    reach: float = 0.0,
) -> Tensor:
    """A softmax over all points, for all cells of one image: density [H, W], points [N, 2]."""
    if len(points) == 0:
        return density.sum().abs()
    height, width = density.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = ((torch.stack([x, y], dim=-1) + 0.5) * stride).to(points).reshape(-1, 2)
    distances = (cells[None] - points[:, None]).square().sum(-1)  # [N, cells]
    nearest = distances.amin(0, keepdim=True)
    if background == "margin":
        distances = torch.cat([distances, (reach - nearest.sqrt()) ** 2])
    elif background == "ratio":
        distances = torch.cat([distances, reach**2 / (nearest + 1e-5)])
    posterior = torch.softmax(-distances / (2 * sigma**2), dim=0)
    expected = posterior @ density.reshape(-1)
    wanted = torch.ones(len(points)).to(points) if targets is None else targets
    if background is not None:
        wanted = torch.cat([wanted, torch.zeros(1).to(wanted)])
    return (wanted - expected).abs().sum()


def uniform(count: int) -> Tensor:
    return torch.rand(count, 2, dtype=torch.float64) * SIDE


def corner(count: int) -> Tensor:
    return torch.rand(count, 2, dtype=torch.float64) * 20


def opposite_corners(count: int) -> Tensor:
    """Cells that share their row with one cluster, their column with the other, and are near none."""
    points = corner(count)
    points[count // 2 :] += SIDE - 20
    return points


def ring(count: int) -> Tensor:
    """The cells in the middle have all points at one distance."""
    angle = torch.rand(count, dtype=torch.float64) * 2 * math.pi
    return torch.stack([256 + 250 * angle.cos(), 256 + 250 * angle.sin()], dim=1)


def borders(count: int) -> Tensor:
    """On the edges of the map, and a little beyond."""
    points = uniform(count)
    edges = torch.tensor([0.0, SIDE, -30.0, SIDE + 30.0])
    points[::2, 0] = edges[torch.arange(len(points[::2])) % 4].double()
    return points


LAYOUTS = [uniform, corner, opposite_corners, ring, borders]


def value_and_gradient(loss, density: Tensor) -> tuple[Tensor, Tensor]:
    density = density.clone().requires_grad_()
    value = loss(density)
    value.backward()
    assert density.grad is not None
    return value.detach().double(), density.grad.double()


def assert_same_as_dense(points, background, reach, dtype, tolerance, cells=CELLS, **settings):
    density = torch.rand(cells, cells, dtype=dtype) * (2 * len(points) / cells**2 + 0.1)
    targets, points = torch.rand(len(points), dtype=dtype) * 1.2, points.to(dtype)
    ours = BayesianLoss(background=background, background_ratio=reach / SIDE if background else None, **settings)
    dense = partial(dense_bayesian_loss, points=points.double(), targets=targets.double(), **settings)
    found = value_and_gradient(lambda density: ours(density[None], [points], [targets], [SIDE]), density)
    true = value_and_gradient(partial(dense, background=background, reach=reach), density.double())
    assert found[1].isfinite().all()
    torch.testing.assert_close(found, true, rtol=tolerance, atol=tolerance)


COUNTS = {layout: (1, 40, 400) if at % 2 else (2, 400, 40) for at, layout in enumerate(LAYOUTS)}
PAIRS = [(layout, *pair) for layout, counts in COUNTS.items() for pair in zip(counts, BACKGROUNDS)]


@pytest.mark.parametrize(("layout", "count", "background"), PAIRS)
def test_same_value_and_gradient_as_the_softmax(layout, count, background):
    torch.manual_seed(count)
    points = layout(count)
    assert_same_as_dense(points, *background, torch.float64, 1e-9)
    assert_same_as_dense(points, *background, torch.float32, 1e-5)


@pytest.mark.parametrize(("background", "reach"), BACKGROUNDS)
def test_twenty_thousand_points(background, reach):
    torch.manual_seed(0)
    points = uniform(20_000) / 4
    assert_same_as_dense(points, background, reach, torch.float32, 1e-4, cells=16)


@pytest.mark.parametrize("sigma", [0.5, 2.0, 30.0])
@pytest.mark.parametrize("layout", [uniform, opposite_corners, ring])
def test_any_width(layout, sigma):
    """A narrow Gaussian underflows in nearly every cell."""
    torch.manual_seed(0)
    assert_same_as_dense(layout(60), None, 0.0, torch.float64, 1e-9, sigma=sigma)
    assert_same_as_dense(layout(60), "margin", 60.0, torch.float64, 1e-9, sigma=sigma)


def test_the_nearest_point_takes_a_far_cell():
    density = torch.zeros(CELLS, CELLS, dtype=torch.float64)
    density[0, -1] = 1.0  # its centre is (508, 4), far from both points, and nearer to the second
    points = torch.tensor([[4.0, 508.0], [12.0, 508.0]], dtype=torch.float64)
    loss = BayesianLoss(background=None)
    assert loss(density[None], [points], [torch.tensor([0.0, 1.0])]) < 1e-12
    assert abs(loss(density[None], [points], [torch.tensor([1.0, 0.0])]) - 2) < 1e-12


@pytest.mark.parametrize("background", [None, "margin", "ratio"])
def test_no_points_means_no_people(background):
    density = torch.rand(2, 1, 8, 8, requires_grad=True)
    loss = BayesianLoss(background=background)(density, [torch.zeros(0, 2)] * 2)
    torch.testing.assert_close(loss, density.sum() / 2)
    loss.backward()
    torch.testing.assert_close(density.grad, torch.full_like(density, 0.5))


def test_shorter_side_sets_the_reach():
    torch.manual_seed(0)
    density = torch.rand(1, CELLS, CELLS) * 0.01  # too little, so what the background takes is missed
    points = [uniform(20).float()]
    small, large = (BayesianLoss()(density, points, None, [side]) for side in (512, 2048))
    assert abs(small - large) > 1
    torch.testing.assert_close(BayesianLoss()(density, points), small)  # the map's own side


def test_the_batch_is_the_mean_of_its_images():
    torch.manual_seed(0)
    density = torch.rand(3, 1, CELLS, CELLS)
    points = [uniform(30).float(), torch.zeros(0, 2), uniform(5).float()]
    targets = [torch.rand(30), torch.zeros(0), None]
    loss = BayesianLoss()
    one_by_one = [loss(density[i : i + 1], points[i : i + 1], targets[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(loss(density, points, targets), torch.stack(one_by_one).mean())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_maps_are_summed_in_full(dtype):
    """Under autocast the map comes in half precision; nothing after it may be computed so."""
    torch.manual_seed(0)
    density = torch.rand(1, CELLS, CELLS).to(dtype)
    points = [uniform(500).float()]
    exact = BayesianLoss()(density.double(), points)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = BayesianLoss()(density.float(), points)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside.double(), exact, rtol=1e-6, atol=0)
    half = BayesianLoss()(density, points)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.double(), exact, rtol=1e-6, atol=0)


def test_maps_stay_on_their_device():
    """Only Apple's, which has no double precision, is left. The meta device stands for all others."""
    maps = checked_maps(torch.zeros(2, 1, 4, 4, device="meta"), [None, None])
    assert maps.device.type == "meta"
    assert maps.dtype == torch.float64


@pytest.mark.parametrize(
    ("points", "targets", "message"),
    [
        (torch.tensor([[1.0, float("nan")]]), None, "NaN"),
        (torch.zeros(3, 3), None, r"\[3, 3\]"),
        (torch.zeros(3, 2), torch.ones(2), r"\[2\] count targets for 3 points"),
        (torch.zeros(1, 2), torch.tensor([-1.0]), "at least 0"),
    ],
)
def test_bad_points_are_refused(points, targets, message):
    with pytest.raises(ValueError, match=message):
        BayesianLoss()(torch.rand(1, 8, 8), [points], [targets])


def test_bad_settings_and_maps_are_refused():
    for settings in ({"sigma": 0.0}, {"background": "dummy"}, {"background_ratio": -1.0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            BayesianLoss(**settings)
    for shape, message in (((2, 1, 8, 8), "2 density maps"), ((1, 3, 8, 8), r"\[1, 3, 8, 8\]")):
        with pytest.raises(ValueError, match=message):
            BayesianLoss()(torch.rand(shape), [torch.zeros(0, 2)])
