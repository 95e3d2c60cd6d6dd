"""Which weights are scale invariant: by structure, or by tracing one real training forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from normreg_plugins.core.model import layers_of, restored, training_mode
from normreg_plugins.core.options import require
from normreg_plugins.core.verdicts.by_structure import reports_by_structure
from normreg_plugins.core.verdicts.filter_trace import FilterTrace, Trace
from normreg_plugins.core.verdicts.verdict import Kind, Verdicts
from normreg_plugins.core.verdicts.weight_report import NormReader, WeightReport, self_normalized, weakest

Forward = Callable[[nn.Module], Any]
"""Runs one training forward of the model it is given, and returns what that forward computes."""


def find_scale_invariant(model: nn.Module, forward: Forward | None = None) -> Verdicts:
    """One verdict per conv and linear weight, in the order of `named_parameters()`.

    Neither way changes the model, its statistics or any random state.

    Args:
        forward: a callable that runs one training forward of the model it is given, losses and auxiliary heads
            included. It is traced once, operation by operation. By default only the structure is looked at.
    """
    return Verdicts(report.verdict for report in find(model, forward))


def find(model: nn.Module, forward: Forward | None = None) -> list[WeightReport]:
    """The reports behind `find_scale_invariant`."""
    require(
        forward is None or callable(forward),
        "forward",
        type(forward).__name__,
        "a function that runs one training forward of the model it is given, such as lambda model: model(images)",
    )
    if forward is None:
        with training_mode(model):
            return reports_by_structure(model)
    with restored(model):
        trace = FilterTrace(model, layers_of(model))
        with trace.tracing():
            outputs = forward(model)
        return reports_of(trace, outputs)


def reports_of(trace: FilterTrace, outputs: Any) -> list[WeightReport]:
    """Turn the trace of a forward that returned `outputs` into reports."""
    return [_report(each, trace.mixed_norms) for each in trace.finish(outputs)]


def _report(trace: Trace, mixed_norms: set[int]) -> WeightReport:
    readers = tuple(_merged(trace.readers))
    kind, reason = _kind_and_reason(trace, readers, mixed_norms)
    mixed = any(id(reader.norm) in mixed_norms for reader in readers)
    return WeightReport(
        trace.layer,
        kind,
        reason,
        readers,
        feeds_scale_bias=trace.feeds_scale_bias,
        weight_normalization=trace.response.normalization,
        traced=trace.calls > 0,
        repairable=bool(readers) and not mixed,
    )


def _kind_and_reason(trace: Trace, readers: tuple[NormReader, ...], mixed_norms: set[int]) -> tuple[Kind, str]:
    layer, scale_readers = trace.layer, list(trace.scale_readers)
    if layer.not_scalable is not None:
        return Kind.UNSAFE, str(layer.not_scalable)
    if not trace.calls:
        by = f"read by {scale_readers[0]}" if scale_readers else "this forward never called it"
        return Kind.FREE, f"no norm layer follows: {by}"
    if trace.response.normalization is not None:
        return self_normalized(trace.response.normalization)
    if not readers:
        return Kind.FREE, f"no norm layer follows: read by {scale_readers[0] if scale_readers else 'nothing'}"
    names = ", ".join(dict.fromkeys(reader.name for reader in readers))
    if scale_readers:
        return Kind.UNSAFE, f"read by {names}, but also by {scale_readers[0]}"
    for reader in readers:
        if id(reader.norm) in mixed_norms:
            return Kind.UNSAFE, f"{reader.name} also serves other layers or channels, which may be scaled differently"
    kind = weakest([reader.kind for reader in readers])
    return kind, _why(kind, len(readers), layer.bias is not None)


def _merged(readers: list[NormReader]) -> list[NormReader]:
    """One reader per norm layer. The same norm layer may be called several times, as for each level of a pyramid."""
    first: dict[tuple[int, str], NormReader] = {}
    for reader in readers:
        first.setdefault((id(reader.norm), reader.kind), reader)
    return list(first.values())


def _why(kind: Kind, readers: int, biased: bool) -> str:
    alone = "its only reader" if readers == 1 else f"its only {readers} readers"
    parts = "filters and biases" if biased else "filters"
    return {
        Kind.INVARIANT: f"{alone}, on batch statistics",
        Kind.COMPENSATED: f"{alone}, on frozen statistics",
        Kind.PER_GROUP: f"{alone}; the {parts} of a group must be scaled alike",
        Kind.PER_LAYER: f"{alone}; all {parts} of the layer must be scaled alike",
    }[kind]
