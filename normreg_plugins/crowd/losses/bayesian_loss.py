"""Bayesian loss (Ma et al., ICCV 2019): the density that belongs to each person must sum to one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from normreg_plugins.crowd.losses.posterior import BUDGET, Posterior, axis_distances, cell_centres

CERTAIN = 40.0
"""Log odds above which a probability equals 1 in float64."""


def margin_distance(nearest: Tensor, reach: float) -> Tensor:
    """Squared distance of the background, (reach - |x - z_near|)^2, as in the paper and the first release.

    Background and nearest person are equally likely at the distance reach / 2 from the person.
    """
    return (reach - nearest.sqrt()).square()


def ratio_distance(nearest: Tensor, reach: float) -> Tensor:
    """Squared distance of the background, reach^2 / (|x - z_near|^2 + 1e-5), as in the later releases.

    Background and nearest person are equally likely at the distance sqrt(reach) from the person.
    """
    return reach**2 / (nearest + 1e-5)


Background = Callable[[Tensor, float], Tensor]
BACKGROUNDS: dict[str, tuple[Background, float]] = {
    "margin": (margin_distance, 0.15),  # and the default background_ratio
    "ratio": (ratio_distance, 1.0),
}


class BayesianLoss(nn.Module):
    """Mean over images of sum_n |t_n - <p_n, D>| + |<p_0, D>|; see `Posterior` for p_n.

    p_0 is the posterior of the background, one more row of the softmax. The loss of an image without points is
    |sum D|. Only the density gets gradients.

    Args:
        sigma: width of the Gaussians in pixels.
        stride: pixels per cell of the density map.
        background: 'margin', 'ratio' or None. The first two are very different losses, see docs/crowd.md.
        background_ratio: reach of the background, as a share of the shorter side of the image.
            Default: 0.15 for 'margin', 1.0 for 'ratio'.
    """

    def __init__(
        self,
        sigma: float = 8.0,
        stride: int = 8,
        background: str | None = "margin",
        background_ratio: float | None = None,
    ) -> None:
        super().__init__()
        if not sigma > 0 or stride < 1:
            raise ValueError(f"sigma and stride must be positive, got {sigma} and {stride}")
        if background is not None and background not in BACKGROUNDS:
            raise ValueError(f"background {background!r} is none of {[*BACKGROUNDS, None]}")
        if background_ratio is not None and not background_ratio > 0:
            raise ValueError(f"background_ratio must be positive, got {background_ratio}")
        self.sigma = sigma
        self.stride = stride
        self.background = background
        self.background_ratio = background_ratio

    def forward(
        self,
        density: Tensor,
        points: Sequence[Tensor],
        targets: Sequence[Tensor | None] | None = None,
        shorter_sides: Sequence[float] | None = None,
    ) -> Tensor:
        """
        Args:
            density: [B, 1, H, W] or [B, H, W].
            points: (x, y) in pixels of the crop, [N, 2] for each image; they may lie outside the crop.
            targets: what each point counts, [N] for each image. Default: 1.
            shorter_sides: shorter side of each full image in pixels, which sets the reach of the
                background. Default: the shorter side of the map.
        """
        maps = checked_maps(density, points)
        sides = shorter_sides or [self.stride * min(maps.shape[1:])] * len(maps)
        precision = torch.promote_types(density.dtype, torch.float32)
        with torch.autocast(maps.device.type, enabled=False):
            losses = []
            for image, some, counts, side in zip(maps, points, targets or [None] * len(maps), sides, strict=True):
                some = checked_points(some, image)
                losses.append(self._loss_of_image(image, some, checked_targets(counts, some), side, precision))
        return torch.stack(losses).mean().to(density.device, precision)

    def _loss_of_image(
        self, density: Tensor, points: Tensor, targets: Tensor, shorter_side: float, precision: torch.dtype
    ) -> Tensor:
        """The loss of one image: density [H, W], points [N, 2] and targets [N], all float64.

        Args:
            precision: float32 or float64, for intermediate results that take most of the time.
        """
        if len(points) == 0:
            return density.sum().abs()
        posterior = Posterior(points, density.shape, self.stride, self.sigma, precision)
        if self.background is None:
            return (targets - posterior.assign(density)).abs().sum()
        empty = density * self._background_share(posterior, points, shorter_side)
        people = posterior.assign(density - empty)
        return (targets - people).abs().sum() + empty.sum().abs()

    def _background_share(self, posterior: Posterior, points: Tensor, shorter_side: float) -> Tensor:
        """p_0 [H, W]. The points share the rest, 1 - p_0, in the same proportions as without a background."""
        pseudo_distance, default_ratio = BACKGROUNDS[str(self.background)]
        reach = (self.background_ratio or default_ratio) * shorter_side
        variance2 = 2 * self.sigma**2

        def log_odds(nearest: Tensor) -> Tensor:
            return -pseudo_distance(nearest, reach) / variance2 - posterior.log_mass

        # The mass of a cell lies between exp(-nearest / 2 sigma^2) and N times that. This bounds the nearest distance.
        at_least = (-variance2 * posterior.log_mass).clamp(min=0)
        at_most = variance2 * (math.log(len(points)) - posterior.log_mass)
        # The log odds have no minimum between these bounds. Where both are large, the cell is all background,
        # and its nearest distance need not be searched for. That is so for most cells.
        certain = torch.minimum(log_odds(at_least), log_odds(at_most)) > CERTAIN
        nearest = nearest_distances(points, torch.where(certain, 0, at_most), self.stride)
        return torch.where(certain, 1, torch.sigmoid(log_odds(nearest)))

    def extra_repr(self) -> str:
        background = f"background={self.background!r}, background_ratio={self.background_ratio}"
        return f"sigma={self.sigma}, stride={self.stride}, {background}"


def checked_maps(density: Tensor, annotated: Sequence[object]) -> Tensor:
    """Density maps [B, H, W] in float64.

    The maps are small, so double precision costs little. Autocast does not change float64. Apple's MPS has no
    float64, so maps there are copied to the CPU.
    """
    if density.ndim == 4 and density.shape[1] == 1:
        density = density[:, 0]
    if density.ndim != 3:
        raise ValueError(f"density must be [B, 1, H, W] or [B, H, W], got {list(density.shape)}")
    if len(density) != len(annotated):
        raise ValueError(f"{len(density)} density maps, but points of {len(annotated)} images")
    if density.device.type == "mps":
        density = density.cpu()
    return density.double()


def checked_points(points: Tensor, like: Tensor) -> Tensor:
    """Finite (x, y) rows, [N, 2]."""
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must be [N, 2] rows of (x, y), got {list(points.shape)}")
    if not points.isfinite().all():
        raise ValueError("points have NaN or infinite coordinates; drop these points before the loss")
    return points.to(like)


def checked_targets(targets: Tensor | None, points: Tensor) -> Tensor:
    """One non-negative count per point, [N]; 1 by default."""
    if targets is None:
        return torch.ones_like(points[:, 0])
    if targets.shape != points.shape[:1]:
        raise ValueError(f"{list(targets.shape)} count targets for {len(points)} points")
    if not (targets >= 0).all():
        raise ValueError("count targets must be numbers of at least 0")
    return targets.to(points)


def nearest_distances(points: Tensor, within: Tensor, stride: int) -> Tensor:
    """Squared distance [H, W] of every cell centre to its nearest point.

    A minimum is no product over the axes. So the rows are treated in chunks. For each chunk only those points are
    considered that can be the nearest of one of its cells.

    Args:
        within: upper bounds of the result, [H, W]. Loose bounds only cost time. Where a bound is too
            low, the result is the distance to some point, not necessarily the nearest.
    """
    points = points[points[:, 1].argsort()]
    x_distances, y_distances = axis_distances(points, within.shape, stride)
    rows = cell_centres(len(within), stride, points)
    reach = within.amax(1).sqrt() * (1 + 1e-6) + 1e-6  # a little more, because of rounding
    y = points[:, 1].contiguous()
    count = max(1, BUDGET // x_distances.numel())  # rows per chunk
    first = torch.searchsorted(y, rows - reach).clamp_(max=len(y) - 1)
    last = torch.searchsorted(y, rows + reach, right=True).maximum(first + 1)  # at least one point
    pairs = zip(first.split(count), last.split(count), strict=True)
    ends = torch.stack([torch.stack([a.amin(), b.amax()]) for a, b in pairs])
    chunks = zip(y_distances.split(count, dim=1), ends.tolist(), strict=True)
    return torch.cat([(x_distances[a:b, None] + d[a:b, :, None]).amin(0) for d, (a, b) in chunks])
