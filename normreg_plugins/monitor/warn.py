"""What a report shows that a training should not go on with unseen, in words: the layer, the number, what to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from normreg_plugins.monitor.report import Report, Row

Log = Callable[[str], Any]

HALF = 65504
"""The greatest number of half precision."""
NEAR_HALF = HALF / 2
FAST = 10
"""A layer that turns so many times as fast as the median layer is fast."""
LEAST_LAYERS = 3
"""A median of fewer layers says nothing."""
OFF = 2
"""A rotation that differs from the expected one by more than this factor is far from equilibrium."""
RESCALE = "if no method sets filter norms yet, use one, such as WeightRescaling"


def zero_filters(report: Report) -> str | None:
    name, row = _worst(report, lambda row: row.zero_filters)
    if not row.zero_filters:
        return None
    return (
        f"{name}: {row.zero_filters} of {row.filters} filters are zero at update {report.update}, so their outputs are "
        "constant. Lower the weight decay or the learning rate, or prune these channels."
    )


def broken_filters(report: Report) -> str | None:
    name, row = _worst(report, lambda row: row.broken_filters)
    if not row.broken_filters:
        return None
    return (
        f"{name}: {row.broken_filters} of {row.filters} filters have NaN or Inf at update {report.update}. Return to a "
        "checkpoint, and lower the learning rate, clip gradients, or train without half precision."
    )


def near_overflow(report: Report) -> str | None:
    entries = {name: row.greatest_entry for name, row in report.layers.items()}
    entries |= {f"{name}.running_var": variance for name, variance in report.variances.items()}
    name = max(entries, key=lambda name: _finite(entries[name]))
    if _finite(entries[name]) < NEAR_HALF:
        return None
    return (
        f"{name}: an entry of {entries[name]:.3g} at update {report.update}. Half precision ends at {HALF}: an average "
        "or a checkpoint in it will contain Inf. Lower the learning rate, save in float32 or bfloat16, or "
        f"{RESCALE}."
    )


def fast_layer(report: Report) -> str | None:
    turns = {name: row.rotation_degrees for name, row in report.layers.items() if 0 < row.rotation_degrees < math.inf}
    if len(turns) < LEAST_LAYERS:
        return None
    name, middle = max(turns, key=turns.__getitem__), median(turns.values())
    if turns[name] < FAST * middle:
        return None
    return (
        f"{name} turned by {turns[name]:.2g} degrees in update {report.update}, {turns[name] / middle:.0f} times as "
        f"far as the median layer ({middle:.2g}). Lower its learning rate, or {RESCALE}."
    )


KINDS = (zero_filters, broken_filters, near_overflow, fast_layer)


class Warnings:
    """A sink that logs a warning of each kind once. `finish` looks back on the run."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._silent = list(KINDS)
        self._high: dict[str, Row] = {}
        """The last row of each layer at a high rate."""
        self._peak: dict[str, float] = {}

    def __call__(self, report: Report) -> None:
        for kind in tuple(self._silent):
            if text := kind(report):
                self._log(text)
                self._silent.remove(kind)
        for name, row in report.layers.items():
            # The expected rotation goes with the root of the rate.
            self._peak[name] = max(self._peak.get(name, 0.0), _finite(row.expected_rotation_degrees))
            if self._peak[name] and row.expected_rotation_degrees >= self._peak[name] / math.sqrt(2):
                self._high[name] = row

    def finish(self) -> None:
        """Warn if norms are far from equilibrium, as they were when the rate last was half of its peak or more.

        At the end of a schedule the rate is too small for norms to follow, so they are judged where it still was high.
        """
        if text := far_from_equilibrium(self._high):
            self._log(text)
        self._high = {}


def far_from_equilibrium(layers: Mapping[str, Row]) -> str | None:
    """A warning if more than half of the layers turn faster or slower than rate and weight decay lead to."""
    ratios = {name: row.rotation_degrees / row.expected_rotation_degrees for name, row in layers.items()}
    distances = {name: abs(math.log(ratio)) for name, ratio in ratios.items() if 0 < ratio < math.inf}
    far = [name for name, distance in distances.items() if distance > math.log(OFF)]
    if not distances or 2 * len(far) <= len(distances):
        return None
    name = max(far, key=distances.__getitem__)
    row = layers[name]
    return (
        f"Filter norms of {len(far)} of {len(distances)} layers are far from the equilibrium of learning rate and "
        f"weight decay: {name} turned by {row.rotation_degrees:.2g} degrees per update instead of "
        f"{row.expected_rotation_degrees:.2g}, so its norm is too {'great' if ratios[name] < 1 else 'small'} and still "
        f"changing. Train longer, raise learning rate or weight decay, or {RESCALE}."
    )


def _worst(report: Report, number: Callable[[Row], float]) -> tuple[str, Row]:
    return max(report.layers.items(), key=lambda item: number(item[1]))


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
