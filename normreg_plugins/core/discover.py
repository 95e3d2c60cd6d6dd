"""Which weights are scale invariant: the structure's promise, or what one real training forward shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.flow import Flow, Trace
from normreg_plugins.core.parts import layers_of
from normreg_plugins.core.preserve import training_mode, untouched
from normreg_plugins.core.reads import NormRead
from normreg_plugins.core.structure import Claim, claims_by_structure, self_normalized
from normreg_plugins.core.verdict import Kind, Verdict, Verdicts


def find_scale_invariant(model: nn.Module, forward: Callable[[nn.Module], Any] | None = None) -> Verdicts:
    """One verdict per conv and linear weight, in the order of `named_parameters()`.

    Args:
        forward: a callable that runs one training forward of the model it is given, losses and auxiliary heads
            included; it is watched operation by operation, once. Without it the structure alone is consulted. Neither
            changes the model, its statistics or any random state.
    """
    return Verdicts(map(as_verdict, find_claims(model, forward)))


def find_claims(model: nn.Module, forward: Callable[[nn.Module], Any] | None = None) -> list[Claim]:
    if forward is None:
        with training_mode(model):
            return claims_by_structure(model)
    with untouched(model):
        flow = Flow(model, layers_of(model))
        with flow.watching():
            outputs = forward(model)
        return judge(flow.finish(outputs))


def overruled(claims: list[Claim], proof: Verdicts, model: nn.Module) -> list[Claim]:
    """The claims, corrected where numbers say otherwise."""
    numbers = {verdict.name: verdict for verdict in proof}
    modules = dict(model.named_modules())
    corrected = []
    for claim in claims:
        verdict = numbers.get(claim.layer.name)
        if verdict is None:
            raise SelectionError(f"the proof says nothing of {claim.layer.name!r}: it is of another model")
        if verdict.kind != claim.kind:
            reads = tuple(NormRead(name, modules[name], verdict.kind) for name in verdict.norms)
            reason = f"overruled by proof ({verdict.reason}); it looked {claim.kind}: {claim.reason}"
            claim = replace(claim, kind=verdict.kind, reason=reason, reads=claim.reads or reads)
        corrected.append(claim)
    return corrected


def as_verdict(claim: Claim) -> Verdict:
    names = dict.fromkeys(read.norm_name for read in claim.reads)
    return Verdict(claim.layer.name, claim.kind, tuple(names), claim.reason)


def judge(traces: list[Trace]) -> list[Claim]:
    """Turn what was seen into claims."""
    served: dict[int, set[Trace]] = defaultdict(set)
    for trace in traces:
        for read in trace.reads:
            if read.channels is None:
                served[id(read.norm)].add(trace)
    shared = {norm for norm, layers in served.items() if len(layers) > 1}
    return [_judge(trace, shared) for trace in traces]


def _judge(trace: Trace, shared_norms: set[int]) -> Claim:
    reads = tuple(_merged(trace.reads))
    kind, reason = _verdict_on(trace, reads, shared_norms)
    return Claim(trace.layer, kind, reason, reads, trace.feeds_scale_bias, trace.rule, seen=trace.calls > 0)


def _verdict_on(trace: Trace, reads: tuple[NormRead, ...], shared_norms: set[int]) -> tuple[Kind, str]:
    layer, leaks = trace.layer, list(trace.leaks)
    if layer.spoiled:
        return Kind.UNSAFE, layer.spoiled
    if not trace.calls:
        return Kind.FREE, f"no norm follows: {f'read by {leaks[0]}' if leaks else 'this forward never called it'}"
    if trace.rule is not None:
        return self_normalized(trace.rule)
    if not reads:
        return Kind.FREE, f"no norm follows: read by {leaks[0] if leaks else 'nothing'}"
    names = ", ".join(dict.fromkeys(read.norm_name for read in reads))
    if leaks:
        return Kind.UNSAFE, f"read by {names}, but also by {leaks[0]}"
    for read in reads:
        if id(read.norm) in shared_norms:
            return Kind.UNSAFE, f"{read.norm_name} also serves other layers: one statistic, many scales"
    kind = _weakest([read.kind for read in reads])
    return kind, _why(kind, names, layer.bias is not None)


def _merged(reads: list[NormRead]) -> list[NormRead]:
    """One read per norm: the same norm may be called for many levels or crops."""
    first: dict[tuple[int, str], NormRead] = {}
    for read in reads:
        first.setdefault((id(read.norm), read.kind), read)
    return list(first.values())


def _weakest(kinds: list[Kind]) -> Kind:
    """What holds for every norm that reads the weight."""
    grouped = [kind for kind in kinds if kind in (Kind.PER_GROUP, Kind.PER_LAYER)]
    if grouped:
        return Kind.PER_LAYER if Kind.PER_LAYER in grouped else Kind.PER_GROUP
    return Kind.COMPENSATED if Kind.COMPENSATED in kinds else Kind.INVARIANT


def _why(kind: Kind, names: str, biased: bool) -> str:
    together = "with its bias " if biased else ""
    return {
        Kind.INVARIANT: f"read by {names} alone, on batch statistics",
        Kind.COMPENSATED: f"read by {names} alone, on frozen statistics",
        Kind.PER_GROUP: f"read by {names} alone, which normalizes groups of filters {together}alike",
        Kind.PER_LAYER: f"read by {names} alone, which normalizes the whole layer {together}alike",
    }[kind]
