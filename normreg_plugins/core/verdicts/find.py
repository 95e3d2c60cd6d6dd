"""Which weights are scale invariant: by structure, or by watching one real training forward."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import training_mode
from normreg_plugins.core.verdicts.by_structure import reports_by_structure
from normreg_plugins.core.verdicts.by_tracing import Forward, reports_by_tracing
from normreg_plugins.core.verdicts.verdict import Kind, Verdicts
from normreg_plugins.core.verdicts.weight_report import WeightReport


def find_scale_invariant(model: nn.Module, forward: Forward | None = None) -> Verdicts:
    """One verdict per conv and linear weight, in the order of `named_parameters()`.

    Args:
        forward: a callable that runs one training forward of the model it is given, losses and auxiliary heads
            included. It is watched once, operation by operation. Without it only the structure is looked at. Neither
            changes the model, its statistics or any random state.
    """
    return Verdicts(report.verdict for report in find(model, forward))


def find(model: nn.Module, forward: Forward | None = None) -> list[WeightReport]:
    """The reports behind `find_scale_invariant`."""
    if forward is not None:
        return reports_by_tracing(model, forward)
    with training_mode(model):
        return reports_by_structure(model)


def overruled(reports: list[WeightReport], proof: Verdicts) -> list[WeightReport]:
    """The reports, corrected where numbers say otherwise.

    Numbers may always take a weight out. They may put one in only if a watched forward has shown its norm layers: the
    evaluated network stays the same only if the right statistics are repaired, channel by channel.
    """
    numbers = {verdict.name: verdict for verdict in proof}
    corrected = []
    for report in reports:
        verdict = numbers.get(report.layer.name)
        if verdict is None:
            raise SelectionError(f"the proof says nothing of {report.layer.name!r}: it was made of another model")
        if verdict.kind != report.kind:
            looked = f"it looked {report.kind}: {report.reason}"
            if verdict.kind in (Kind.FREE, Kind.UNSAFE) or report.repairable:
                reason = f"overruled by proof ({verdict.reason}); {looked}"
                report = replace(report, kind=verdict.kind, reason=reason)
            else:
                unknown = f"the proof says {verdict.kind}, but not which statistics would have to follow"
                report = replace(report, kind=Kind.UNSAFE, reason=f"{unknown}; {looked}", readers=())
        corrected.append(report)
    return corrected
