"""Verdicts by numbers: scale filters, run the training forward again, compare.

The proof knows nothing of how the model is built. Three things make its comparison sharp:
- Factors are powers of two, so a scale that the network takes away is taken away without rounding.
- The eps of norm layers is set to nearly zero, because an eps sees the scale of what it is added to.
- Constant parameters (zero biases, zero gammas) are made random, because a zero hides all layers in front of it.

A traced forward says first how each weight may be scaled, and which norm layers read it. The proof tries this on all
weights at once, which takes a few forwards if nearly all of it is true. Where it is not, the proof tries smaller groups
of weights, and other ways to scale a single one, unless gradients show clearly that the forward sees its scale. So
the trace decides what is tried first, and the numbers decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from normreg_plugins.core.errors import ProofError, SelectionError
from normreg_plugins.core.model import (
    Layer,
    ScaledInput,
    layers_of,
    repair_statistics_,
    restored,
)
from normreg_plugins.core.verdicts.find import Forward, find
from normreg_plugins.core.verdicts.proof_forward import (
    ForwardRecord,
    clearly_seen,
    close,
    fit_frozen_,
    generic_point,
    scaled,
)
from normreg_plugins.core.verdicts.verdict import Kind, Verdict, Verdicts
from normreg_plugins.core.verdicts.weight_report import NormReader, WeightReport

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}
HALF_TOLERANCE = 3e-2
DRAWS = 3
"""Layers that are scaled together must pass this many draws of factors."""
SEVERAL_FILTERS = (Kind.PER_GROUP, Kind.PER_LAYER)
"""Kinds of weights of which several filters must be scaled alike."""


def prove_scale_invariant(model: nn.Module, forward: Forward) -> Verdicts:
    """The same verdicts as `find_scale_invariant`, decided by numbers. The model is restored.

    Args:
        forward: a callable that runs one training forward of the model it is given and returns what depends on it
            (outputs or losses). Under the same random state it must compute the same again.
    """
    reports = {report.layer.name: report for report in find(model, forward)}
    with restored(model), torch.no_grad(), generic_point(model):
        return _Proof(model, forward, layers_of(model), reports).verdicts()


def overruled(reports: list[WeightReport], proof: Verdicts) -> list[WeightReport]:
    """The reports, corrected where numbers say otherwise.

    Numbers may always take a weight out. They may put one in only if a traced forward has shown its norm layers: the
    evaluated network stays the same only if the right statistics are repaired, channel by channel.
    """
    numbers = {verdict.name: verdict for verdict in proof}
    corrected = []
    for report in reports:
        verdict = numbers.get(report.layer.name)
        if verdict is None:
            raise SelectionError(f"the proof says nothing of {report.layer.name!r}: it was made for another model")
        if verdict.kind != report.kind:
            before = f"before: {report.kind}, {report.reason}"
            if verdict.kind in (Kind.FREE, Kind.UNSAFE) or report.repairable:
                reason = f"overruled by proof ({verdict.reason}); {before}"
                report = replace(report, kind=verdict.kind, reason=reason)
            else:
                unknown = f"the proof says {verdict.kind}, but not which running statistics must follow"
                report = replace(report, kind=Kind.UNSAFE, reason=f"{unknown}; {before}", readers=())
        corrected.append(report)
    return corrected


class Scaling(NamedTuple):
    """How one layer is scaled, and its kind if the forward stays the same."""

    kind: Kind
    groups: int
    """The number of runs of neighboring filters; each run has its own factor."""
    readers: tuple[NormReader, ...] = ()
    """The frozen norm layers whose statistics are scaled with it."""
    bias: bool = False
    """Whether its bias is scaled with it."""

    def factors(self, layer: Layer, draw: int) -> Tensor:
        """2, 4, 8 or 16 for each run, not all equal. None is below 1, so that no product of them is 1."""
        generator = torch.Generator().manual_seed(layer.order * DRAWS + draw)
        powers = torch.randint(1, 5, (self.groups,), generator=generator)
        if self.groups > 1:
            powers[0], powers[-1] = 1, 4
        return (2.0**powers).to(layer.weight.device).repeat_interleave(layer.channels // self.groups)

    @property
    def reason(self) -> str:
        return {
            Kind.INVARIANT: "scaled filter by filter, the forward stays the same",
            Kind.COMPENSATED: "scaled with its frozen statistics, the forward stays the same",
            Kind.PER_GROUP: f"scaled alike in each of {self.groups} groups, the forward stays the same",
            Kind.PER_LAYER: "all filters scaled alike, the forward stays the same",
        }[self.kind]


class _Proof:
    def __init__(
        self,
        model: nn.Module,
        forward: Forward,
        layers: list[Layer],
        reports: Mapping[str, WeightReport],
    ) -> None:
        self._model, self._forward, self._layers, self._reports = model, forward, layers, reports
        fit_frozen_(model, forward)
        self._plain = ForwardRecord(model, forward, layers)
        if not self._plain.outputs:
            raise ProofError("forward returned no floating point tensor: return the outputs or losses")
        if not self._same(ForwardRecord(model, forward)):
            raise ProofError(
                "forward computed something else the second time, under the same random state: remove what differs"
            )

    def verdicts(self) -> Verdicts:
        called = [layer for layer in self._layers if layer.module in self._plain.called and layer.not_scalable is None]
        promised = {layer: scaling for layer in called if (scaling := _promised_by(self._reports[layer.name]))}
        passed = self._passed(promised)
        self._seen = clearly_seen(self._model, self._forward, [layer for layer in called if layer not in passed])
        return Verdicts(self._verdict(layer, passed.get(layer)) for layer in self._layers)

    def _verdict(self, layer: Layer, passed: Scaling | None) -> Verdict:
        if layer.module not in self._plain.called:
            return Verdict(layer.name, Kind.FREE, (), "this forward never called it")
        if layer.not_scalable is not None:
            return Verdict(layer.name, Kind.UNSAFE, (), str(layer.not_scalable))
        scaling = None if layer in self._seen else self._finest(layer, passed)
        norms = self._reports[layer.name].norms
        if scaling is not None:
            return Verdict(layer.name, scaling.kind, norms, scaling.reason)
        if norms:
            reason = f"{norms[0]} takes its scale away, but something else in the forward sees it"
            return Verdict(layer.name, Kind.UNSAFE, norms, reason)
        return Verdict(layer.name, Kind.FREE, (), "the forward changes with its scale")

    def _passed(self, scalings: dict[Layer, Scaling]) -> dict[Layer, Scaling]:
        """The scalings under which the forward stays the same, found by halving.

        Layers that are scaled together could hide each other's effect. Effects of random factors cancel only by
        chance, so a group must pass under several draws.
        """
        if not scalings or all(self._stays(scalings, draw) for draw in range(DRAWS if len(scalings) > 1 else 1)):
            return scalings
        if len(scalings) == 1:
            return {}
        items, half = list(scalings.items()), len(scalings) // 2
        return self._passed(dict(items[:half])) | self._passed(dict(items[half:]))

    def _finest(self, layer: Layer, passed: Scaling | None) -> Scaling | None:
        """The finest scaling of a layer under which the forward stays the same: by filter, in groups, or all alike."""
        if passed is not None and passed.kind not in SEVERAL_FILTERS:
            return passed
        by_filter = Scaling(Kind.INVARIANT, layer.channels)
        if self._stays({layer: by_filter}):
            return by_filter
        alike = passed or Scaling(Kind.PER_LAYER, 1, bias=True)
        if passed is None and not self._stays({layer: alike}):
            return None
        return next((scaling for scaling in self._by_groups(layer) if self._stays({layer: scaling})), alike)

    def _by_groups(self, layer: Layer) -> Iterator[Scaling]:
        counts = {module.num_groups for module in self._model.modules() if isinstance(module, nn.GroupNorm)}
        for groups in sorted(counts, reverse=True):
            if 1 < groups < layer.channels and layer.channels % groups == 0:
                yield Scaling(Kind.PER_GROUP, groups, bias=True)

    def _stays(self, scalings: Mapping[Layer, Scaling], draw: int = 0) -> bool:
        """Whether the forward stays the same if these layers are scaled."""
        factors = {layer: scaling.factors(layer, draw) for layer, scaling in scalings.items()}
        repairs = [
            ScaledInput(reader.norm, reader.channels, layer.bias, factors[layer])
            for layer, scaling in scalings.items()
            for reader in scaling.readers
        ]
        biased = [layer for layer, scaling in scalings.items() if scaling.bias]
        with scaled(factors, biased), restored(self._model):
            repair_statistics_(repairs)
            return self._same(ForwardRecord(self._model, self._forward))

    def _same(self, run: ForwardRecord) -> bool:
        pairs = zip(run.outputs, self._plain.outputs)
        return len(run.outputs) == len(self._plain.outputs) and all(close(a, b, _tolerance(b)) for a, b in pairs)


def _promised_by(report: WeightReport) -> Scaling | None:
    """How a layer may be scaled if the report is true."""
    if report.kind in (Kind.FREE, Kind.UNSAFE):
        return None
    kind, groups = report.kind, report.layer.channels
    if kind in SEVERAL_FILTERS:
        runs = {reader.groups for reader in report.readers}
        kind, groups = (kind, runs.pop()) if kind is Kind.PER_GROUP and len(runs) == 1 else (Kind.PER_LAYER, 1)
    frozen = tuple(reader for reader in report.readers if reader.kind is Kind.COMPENSATED)
    return Scaling(kind, groups, frozen, bias=any(reader.kind in SEVERAL_FILTERS for reader in report.readers))


def _tolerance(like: Tensor) -> float:
    return TOLERANCE.get(like.dtype, HALF_TOLERANCE)
