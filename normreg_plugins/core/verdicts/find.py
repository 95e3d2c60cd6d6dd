"""Which weights are scale invariant: by structure, or by watching one real training forward."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import training_mode
from normreg_plugins.core.verdicts.by_structure import findings_by_structure
from normreg_plugins.core.verdicts.by_watching import Forward, findings_by_watching
from normreg_plugins.core.verdicts.finding import Finding
from normreg_plugins.core.verdicts.verdict import Kind, Verdicts


def find_scale_invariant(model: nn.Module, forward: Forward | None = None) -> Verdicts:
    """One verdict per conv and linear weight, in the order of `named_parameters()`.

    Args:
        forward: a callable that runs one training forward of the model it is given, losses and auxiliary heads
            included. It is watched once, operation by operation. Without it only the structure is looked at. Neither
            changes the model, its statistics or any random state.
    """
    return Verdicts(finding.verdict for finding in find(model, forward))


def find(model: nn.Module, forward: Forward | None = None) -> list[Finding]:
    """The findings behind `find_scale_invariant`."""
    if forward is not None:
        return findings_by_watching(model, forward)
    with training_mode(model):
        return findings_by_structure(model)


def overruled(findings: list[Finding], proof: Verdicts) -> list[Finding]:
    """The findings, corrected where numbers say otherwise.

    Numbers may always take a weight out. They may put one in only if a watched forward has shown its norm layers: the
    evaluated network stays the same only if the right statistics are repaired, channel by channel.
    """
    numbers = {verdict.name: verdict for verdict in proof}
    corrected = []
    for finding in findings:
        verdict = numbers.get(finding.layer.name)
        if verdict is None:
            raise SelectionError(f"the proof says nothing of {finding.layer.name!r}: it was made of another model")
        if verdict.kind != finding.kind:
            looked = f"it looked {finding.kind}: {finding.reason}"
            if verdict.kind in (Kind.FREE, Kind.UNSAFE) or finding.repairable:
                reason = f"overruled by proof ({verdict.reason}); {looked}"
                finding = replace(finding, kind=verdict.kind, reason=reason)
            else:
                unknown = f"the proof says {verdict.kind}, but not which statistics would have to follow"
                finding = replace(finding, kind=Kind.UNSAFE, reason=f"{unknown}; {looked}", readers=())
        corrected.append(finding)
    return corrected
