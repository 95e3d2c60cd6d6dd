"""Which weights are scale invariant: the structure's promise, or what one real training forward shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.flow import Flow, Trace
from normreg_plugins.core.parts import layers_of
from normreg_plugins.core.preserve import training_mode, untouched
from normreg_plugins.core.reads import NormRead, weakest
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
        return judge(flow, outputs)


def overruled(claims: list[Claim], proof: Verdicts) -> list[Claim]:
    """The claims, corrected where numbers say otherwise.

    Numbers may always take a weight out. They may only put one in whose norms a watched forward has shown: to keep the
    evaluated function, the statistics to repair must be known channel by channel.
    """
    numbers = {verdict.name: verdict for verdict in proof}
    corrected = []
    for claim in claims:
        verdict = numbers.get(claim.layer.name)
        if verdict is None:
            raise SelectionError(f"the proof says nothing of {claim.layer.name!r}: it is of another model")
        if verdict.kind != claim.kind:
            looked = f"it looked {claim.kind}: {claim.reason}"
            if verdict.kind in (Kind.FREE, Kind.UNSAFE) or claim.repairable:
                claim = replace(claim, kind=verdict.kind, reason=f"overruled by proof ({verdict.reason}); {looked}")
            else:
                unknown = f"the proof says {verdict.kind}, but not which statistics would have to follow"
                claim = replace(claim, kind=Kind.UNSAFE, reason=f"{unknown}; {looked}", reads=())
        corrected.append(claim)
    return corrected


def as_verdict(claim: Claim) -> Verdict:
    names = dict.fromkeys(read.norm_name for read in claim.reads)
    return Verdict(claim.layer.name, claim.kind, tuple(names), claim.reason)


def judge(flow: Flow, outputs: Any) -> list[Claim]:
    """Turn what was seen of a forward that returned `outputs` into claims."""
    return [_judge(trace, flow.mixed_norms) for trace in flow.finish(outputs)]


def _judge(trace: Trace, mixed_norms: set[int]) -> Claim:
    reads = tuple(_merged(trace.reads))
    kind, reason = _verdict_on(trace, reads, mixed_norms)
    mixed = any(id(read.norm) in mixed_norms for read in reads)
    return Claim(
        trace.layer,
        kind,
        reason,
        reads,
        feeds_scale_bias=trace.feeds_scale_bias,
        rule=trace.rule,
        seen=trace.calls > 0,
        repairable=bool(reads) and not mixed,
    )


def _verdict_on(trace: Trace, reads: tuple[NormRead, ...], mixed_norms: set[int]) -> tuple[Kind, str]:
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
        if id(read.norm) in mixed_norms:
            return Kind.UNSAFE, f"{read.norm_name} also serves other layers or channels: one statistic of many scales"
    kind = weakest([read.kind for read in reads])
    return kind, _why(kind, len(reads), layer.bias is not None)


def _merged(reads: list[NormRead]) -> list[NormRead]:
    """One read per norm: the same norm may be called for many levels or crops."""
    first: dict[tuple[int, str], NormRead] = {}
    for read in reads:
        first.setdefault((id(read.norm), read.kind), read)
    return list(first.values())


def _why(kind: Kind, readers: int, biased: bool) -> str:
    alone = "its only reader" if readers == 1 else f"its only {readers} readers"
    together = "with its bias " if biased else ""
    return {
        Kind.INVARIANT: f"{alone}, on batch statistics",
        Kind.COMPENSATED: f"{alone}, on frozen statistics",
        Kind.PER_GROUP: f"{alone}, which normalizes groups of filters {together}alike",
        Kind.PER_LAYER: f"{alone}, which normalizes the whole layer {together}alike",
    }[kind]
