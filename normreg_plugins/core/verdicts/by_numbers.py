"""Verdicts by numbers: scale filters, run the training forward again, compare.

The proof knows nothing of how the model is built. Three things make its comparison sharp:
- Factors are powers of two, so a scale that the network takes away is taken away without rounding.
- The eps of norm layers is set to nearly nothing, because an eps sees the scale of what it is added to.
- Constant parameters (zero biases, zero gammas) are made random, because a zero hides all layers in front of it.

A watched forward says first how each weight may be scaled. The proof tries this on all weights at once, which takes a
few forwards if nearly all of it is true. Where it is not, the proof tries smaller groups of weights. So a watched
forward decides only what is tried first. The numbers decide the verdicts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from normreg_plugins.core.errors import ProofError, SelectionError
from normreg_plugins.core.model import (
    Layer,
    ScaledInput,
    is_frozen,
    is_norm_layer,
    layers_of,
    repair_statistics_,
    restored,
)
from normreg_plugins.core.verdicts.by_tracing import Forward, reports_by_tracing
from normreg_plugins.core.verdicts.norm_reader import NormReader
from normreg_plugins.core.verdicts.proof_forward import (
    ForwardRecord,
    close,
    fit_frozen_,
    generic_point,
    scaled,
    statistics_kept,
)
from normreg_plugins.core.verdicts.trial_scalings import (
    DRAWS,
    WHOLE,
    Scaling,
    alike,
    codes,
    codes_seen,
    promised_by,
    ratio_seen,
)
from normreg_plugins.core.verdicts.verdict import Kind, Verdict, Verdicts

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}
HALF_TOLERANCE = 3e-2


def prove_scale_invariant(model: nn.Module, forward: Forward, names: Collection[str] | None = None) -> Verdicts:
    """The same verdicts as `find_scale_invariant`, by numbers alone; the model comes back as it was.

    Args:
        forward: a callable that runs one training forward of the model it is given and returns what depends on it
            (outputs or losses). It must compute the same again under the same random state.
        names: prove these weights only, as named in `named_parameters()`.
    """
    layers = [layer for layer in layers_of(model) if names is None or layer.name in names]
    unknown = sorted({*(names or ())} - {layer.name for layer in layers})
    if unknown:
        raise SelectionError(f"no conv or linear weight is named {', '.join(unknown)}")
    promises = {report.layer.name: promised_by(report) for report in reports_by_tracing(model, forward)}
    with restored(model), torch.no_grad(), generic_point(model):
        return _Proof(model, forward, layers, promises).verdicts()


class _Proof:
    def __init__(
        self,
        model: nn.Module,
        forward: Forward,
        layers: list[Layer],
        promises: Mapping[str, Scaling | None],
    ) -> None:
        self._model, self._forward, self._layers, self._promises = model, forward, layers, promises
        self._norms = {name: m for name, m in model.named_modules() if is_norm_layer(m)}
        self._frozen = {name: norm for name, norm in self._norms.items() if is_frozen(norm)}
        self._wholes: dict[Layer, tuple[bool, list[str]]] = {}
        fit_frozen_(model, forward, self._frozen.values())
        self._plain = ForwardRecord(model, forward, layers, self._norms)
        if not self._plain.outputs:
            raise ProofError(
                "forward returned nothing that holds a floating point tensor: return the outputs or losses"
            )
        if not self._same(ForwardRecord(model, forward)):
            raise ProofError("forward computed something else the second time, under the same random state")

    def verdicts(self) -> Verdicts:
        called = [layer for layer in self._layers if layer.module in self._plain.called and layer.not_scalable is None]
        kept = self._kept({layer: scaling for layer in called if (scaling := self._promises[layer.name])})
        norms = self._readers_of_all(kept)
        scalings = {layer: self._scaling_of(layer, kept.get(layer)) for layer in called}
        norms |= {layer: self._as_a_whole(layer)[1] for layer in called if layer not in kept}
        return Verdicts(self._verdict(layer, scalings.get(layer), norms.get(layer, [])) for layer in self._layers)

    def _verdict(self, layer: Layer, scaling: Scaling | None, norms: list[str]) -> Verdict:
        if layer.module not in self._plain.called:
            return Verdict(layer.name, Kind.FREE, (), "this forward never called it")
        if layer.not_scalable is not None:
            return Verdict(layer.name, Kind.UNSAFE, (), str(layer.not_scalable))
        if scaling is not None:
            return Verdict(layer.name, scaling.kind, tuple(norms), scaling.reason)
        if norms:
            reason = f"{norms[0]} takes its scale away, but something else in the forward sees it"
            return Verdict(layer.name, Kind.UNSAFE, tuple(norms), reason)
        return Verdict(layer.name, Kind.FREE, (), "the forward changes with its scale")

    def _kept(self, scalings: dict[Layer, Scaling]) -> dict[Layer, Scaling]:
        """The scalings under which the forward stays the same, found by halving.

        Layers that are scaled together could hide each other's effect. Effects of random factors cancel only by
        chance, so a group must pass under several draws.
        """
        if not scalings or all(self._stays(scalings, draw) for draw in range(DRAWS if len(scalings) > 1 else 1)):
            return scalings
        if len(scalings) == 1:
            return {}
        items, half = list(scalings.items()), len(scalings) // 2
        return self._kept(dict(items[:half])) | self._kept(dict(items[half:]))

    def _scaling_of(self, layer: Layer, kept: Scaling | None) -> Scaling | None:
        """The finest scaling of a layer under which the forward stays the same: by filter, in groups, or all alike."""
        if kept is not None and kept.kind not in WHOLE:
            return kept
        each = Scaling(Kind.INVARIANT, layer.channels)
        factors = each.factors(layer, 0)
        run = self._run({layer: each}, {layer: factors}, self._frozen)
        if self._same(run):
            return each
        followed = each._replace(kind=Kind.COMPENSATED, readers=self._following(run, factors))
        if followed.readers and self._stays({layer: followed}):
            return followed
        if kept is None and self._as_a_whole(layer)[0]:
            kept = Scaling(Kind.PER_LAYER, 1, bias=True)
        if kept is not None and kept.kind is Kind.PER_LAYER:
            return next((scaling for scaling in self._by_groups(layer) if self._stays({layer: scaling})), kept)
        return kept

    def _following(self, run: ForwardRecord, factors: Tensor) -> tuple[NormReader, ...]:
        """The frozen norm layers that see each filter scaled by its factor."""
        ratios = {name: ratio_seen(run.norm_calls[name], self._plain.norm_calls[name]) for name in self._frozen}
        return tuple(
            NormReader(name, self._frozen[name], Kind.COMPENSATED)
            for name, ratio in ratios.items()
            if ratio is not None and alike(ratio, factors)
        )

    def _by_groups(self, layer: Layer) -> Iterator[Scaling]:
        for groups in sorted({norm.num_groups for norm in self._norms.values() if isinstance(norm, nn.GroupNorm)}):
            if 1 < groups < layer.channels and layer.channels % groups == 0:
                yield Scaling(Kind.PER_GROUP, groups, bias=True)

    def _as_a_whole(self, layer: Layer) -> tuple[bool, list[str]]:
        """Whether the forward stays the same if the whole layer and its bias are scaled by 4, and who reads it.

        A norm layer that reads it sees an input 4 times as large. Unless it is frozen, it returns the same output.
        """
        if layer not in self._wholes:
            four = torch.full((layer.channels,), 4.0, device=layer.weight.device)
            run = self._run({layer: Scaling(Kind.PER_LAYER, 1, bias=True)}, {layer: four}, self._norms)
            found = []
            for name, calls in self._plain.norm_calls.items():
                for then, now in zip(calls, run.norm_calls[name]):
                    kept = name in self._frozen or close(now.fingerprint, then.fingerprint, 1e-3)
                    if kept and then.size > 0 and close(now.size, 4 * then.size, 1e-3):
                        found.append(name)
            self._wholes[layer] = self._same(run), list(dict.fromkeys(found))
        return self._wholes[layer]

    def _readers_of_all(self, scalings: dict[Layer, Scaling]) -> dict[Layer, list[str]]:
        """The norm layers behind each layer, for all layers at once.

        Each layer has a code of its own: the powers of two by which it is scaled in a few runs, one power in each. Each
        channel that enters a norm layer then shows the code of the layer that it comes from. This takes fewer forwards
        than to scale one layer after the other.
        """
        owners = dict(zip(codes(len(scalings)), scalings))
        runs = []
        for digits in zip(*owners):
            factors = {
                layer: torch.full((layer.channels,), digit, device=layer.weight.device)
                for layer, digit in zip(scalings, digits)
            }
            runs.append(self._run(scalings, factors, self._norms))
        found: dict[Layer, dict[str, None]] = {layer: {} for layer in scalings}
        for name in self._norms if runs else ():
            for then, *now in zip(*(run.norm_calls[name] for run in (self._plain, *runs))):
                for code in codes_seen(then, now) & owners.keys():
                    found[owners[code]][name] = None
        return {layer: list(norms) for layer, norms in found.items()}

    def _stays(self, scalings: Mapping[Layer, Scaling], draw: int = 0) -> bool:
        return self._same(
            self._run(scalings, {layer: scaling.factors(layer, draw) for layer, scaling in scalings.items()})
        )

    def _run(
        self,
        scalings: Mapping[Layer, Scaling],
        factors: Mapping[Layer, Tensor],
        watch: Mapping[str, nn.Module] | None = None,
    ) -> ForwardRecord:
        repairs = [
            ScaledInput(reader.norm, reader.channels, layer.bias, factors[layer])
            for layer, scaling in scalings.items()
            for reader in scaling.readers
        ]
        biased = [layer for layer, scaling in scalings.items() if scaling.bias]
        with scaled(factors, biased), statistics_kept(repair.norm for repair in repairs):
            repair_statistics_(repairs)
            return ForwardRecord(self._model, self._forward, norms=watch)

    def _same(self, run: ForwardRecord) -> bool:
        pairs = zip(run.outputs, self._plain.outputs)
        return len(run.outputs) == len(self._plain.outputs) and all(close(a, b, _tolerance(b)) for a, b in pairs)


def _tolerance(like: Tensor) -> float:
    return TOLERANCE.get(like.dtype, HALF_TOLERANCE)
