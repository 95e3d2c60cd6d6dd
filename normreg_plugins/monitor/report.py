"""What a monitor saw at one update."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from normreg_plugins.monitor.measure import NormLayer, Sums
from normreg_plugins.monitor.optimizer_direction import RateLaw

PREFIX = "norms/"
OTHERS = (
    *("gradient_norm", "effective_gradient_norm", "eta_over_norm", "eta_over_squared_norm", "eta_over_std"),
    *("rotation_degrees", "expected_rotation_degrees", "update_ratio", "radial_share", "greatest_entry"),
)
"""The fields of `Row` that `Report.scalars` names as they are."""


@dataclass(frozen=True)
class Row:
    """The filters of one layer, or of all layers, after one update and after what a method did to them.

    A number that does not exist is NaN: a rate where every filter is zero, a gradient norm without a gradient.
    """

    filters: int
    filter_norm: float
    """The mean over filters."""
    least_filter_norm: float
    greatest_filter_norm: float
    greatest_entry: float
    """Of |w|. Half precision ends at 65504."""
    zero_filters: int
    broken_filters: int
    """Filters with NaN or Inf."""
    gradient_norm: float
    """Of the layer's gradient as the optimizer took it."""
    effective_gradient_norm: float
    """||g|| / ||w|| of the layer, with w from before the update (WRS paper, Fig. 2a); see `applied_norm` for g."""
    eta_over_norm: float
    """Mean over filters of eta / ||w||: the effective rate of an adaptive optimizer."""
    eta_over_squared_norm: float
    """Mean over filters of eta / ||w||^2: the effective rate of SGD, with or without momentum."""
    eta_over_std: float
    """Mean over the filters of weight-standardized layers of eta / std(w), what the AWS paper draws in Fig. 2 and 4."""
    rotation_degrees: float
    """Mean over filters of the angle between before and after the update."""
    expected_rotation_degrees: float
    """What it becomes at this rate and weight decay, see `equilibrium_angle`; NaN where a method sets the norm."""
    update_ratio: float
    """Mean over filters of ||dw|| / ||w||, with w from before the update."""
    radial_share: float
    """Mean over filters of the cosine between dw and w: above 0 where the update lengthens the filter, below 0 where it
    shortens it. Exact to about 1e-7 / update_ratio."""


@dataclass(frozen=True)
class Report:
    update: int
    since: int
    """Updates made when this run began or was resumed."""
    rate_law: RateLaw | None
    """Which of the two rates is the effective rate of this optimizer; None where that is unknown."""
    layers: Mapping[str, Row]
    """By the name of the weight."""
    overall: Row
    """All filters together, as if they were one layer."""
    norm_layers: Mapping[str, NormLayer]
    """By the name of the norm layer."""

    def scalars(self, prefix: str = PREFIX, layers: bool = False) -> dict[str, float]:
        """Named numbers for a logger. The names are the same in every report of a run.

        Args:
            layers: also those of every layer, as `{prefix}{weight}/{field of Row}`.
        """
        means = [row.filter_norm for row in self.layers.values()]
        norm_layers = self.norm_layers.values()
        overall = {
            "min": self.overall.least_filter_norm,
            "mean": self.overall.filter_norm,
            "max": self.overall.greatest_filter_norm,
            "smallest_layer": _first(min, means),
            "largest_layer": _first(max, means),
            "zero_filters": float(self.overall.zero_filters),
            "broken_filters": float(self.overall.broken_filters),
            **{key: float(getattr(self.overall, key)) for key in OTHERS},
            "mean_drift": _mean([each.mean_drift for each in norm_layers]),
            "variance_drift": _mean([each.variance_drift for each in norm_layers]),
            "greatest_variance": _first(max, [each.greatest_variance for each in norm_layers] or [math.nan]),
        }
        found = {f"{prefix}{key}": value for key, value in overall.items()}
        if layers:
            for name, row in self.layers.items():
                found |= {f"{prefix}{name}/{key}": float(value) for key, value in asdict(row).items()}
        return found


def row_of(sums: Sums) -> Row:
    return Row(
        filters=int(sums.filters),
        filter_norm=sums.norm / sums.filters,
        least_filter_norm=sums.least,
        greatest_filter_norm=sums.greatest,
        greatest_entry=sums.greatest_entry,
        zero_filters=int(sums.zero),
        broken_filters=int(sums.broken),
        gradient_norm=sums.gradient_norm,
        effective_gradient_norm=_ratio(sums.applied_norm, sums.norm_before),
        eta_over_norm=_ratio(sums.eta_over_norm, sums.sound),
        eta_over_squared_norm=_ratio(sums.eta_over_squared_norm, sums.sound),
        eta_over_std=_ratio(sums.eta_over_std, sums.standardized),
        rotation_degrees=_ratio(sums.angle, sums.turned),
        expected_rotation_degrees=_ratio(sums.expected_angle, sums.decayed),
        update_ratio=_ratio(sums.update_ratio, sums.turned),
        radial_share=_ratio(sums.radial_share, sums.moved),
    )


def total(layers: Iterable[Sums]) -> Sums:
    """The sums of all filters together. Layers without a gradient are left out of the gradient norms only."""
    columns = dict(zip(Sums._fields, zip(*layers)))
    together = {name: math.fsum(column) for name, column in columns.items()}
    together["least"] = _first(min, columns["least"])
    for name in ("greatest", "greatest_entry"):
        together[name] = _first(max, columns[name])
    for name in ("gradient_norm", "applied_norm", "norm_before"):
        values = [v for v, g in zip(columns[name], columns["gradient_norm"]) if not math.isnan(g)]
        together[name] = math.hypot(*values) if values else math.nan
    return Sums(**together)


def _first(which: Any, values: Any) -> float:
    """`min` or `max`, and NaN if there is one: Python's own depend on where it stands."""
    return math.nan if any(map(math.isnan, values)) else which(values)


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan


def _mean(values: list[float]) -> float:
    return _ratio(math.fsum(values), len(values))
