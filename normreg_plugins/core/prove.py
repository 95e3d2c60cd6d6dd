"""The numeric truth about scale invariance: scale filters, run the training forward again, compare.

Nothing is assumed about how the model is built. Factors are powers of two, so that a scale that the network takes away
is taken away without rounding; norms' eps is set to nearly nothing; and parameters that are constant (zero biases, zero
gammas of residual branches, tiny layer scales) are made random for the time of the proof, so that what is invisible
only by today's values does not pass.

What a watched forward promises of each weight is tried on all of them at once, which takes a few forwards where nearly
every promise is kept. A promise decides what is tried first, never what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.discover import find_claims
from normreg_plugins.core.errors import ProofError, SelectionError
from normreg_plugins.core.parts import Layer, is_frozen, is_norm, layers_of
from normreg_plugins.core.preserve import untouched
from normreg_plugins.core.reads import NormRead
from normreg_plugins.core.runs import Run, close, fit_frozen_, generic_point, scaled, statistics_kept
from normreg_plugins.core.targets import repair_statistics_
from normreg_plugins.core.verdict import Kind, Verdict, Verdicts
from normreg_plugins.core.ways import DRAWS, WHOLE, Way, alike, codes, codes_seen, promised, ratio_seen

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}
HALF_TOLERANCE = 3e-2


def prove_scale_invariant(
    model: nn.Module, forward: Callable[[nn.Module], Any], names: Collection[str] | None = None
) -> Verdicts:
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
    promises = {claim.layer.name: promised(claim) for claim in find_claims(model, forward)}
    with untouched(model), torch.no_grad(), generic_point(model):
        return _Proof(model, forward, layers, promises).verdicts()


class _Proof:
    def __init__(
        self,
        model: nn.Module,
        forward: Callable[[nn.Module], Any],
        layers: list[Layer],
        promises: Mapping[str, Way | None],
    ) -> None:
        self._model, self._forward, self._layers, self._promises = model, forward, layers, promises
        self._norms = {name: m for name, m in model.named_modules() if is_norm(m)}
        self._frozen = {name: norm for name, norm in self._norms.items() if is_frozen(norm)}
        self._wholes: dict[Layer, tuple[bool, list[str]]] = {}
        fit_frozen_(model, forward, self._frozen.values())
        self._plain = Run(model, forward, layers, self._norms)
        if not self._plain.outputs:
            raise ProofError(
                "forward returned nothing that holds a floating point tensor: return the outputs or losses"
            )
        if not self._same(Run(model, forward)):
            raise ProofError("forward computed something else the second time, under the same random state")

    def verdicts(self) -> Verdicts:
        called = [layer for layer in self._layers if layer.module in self._plain.called and not layer.spoiled]
        kept = self._kept({layer: way for layer in called if (way := self._promises[layer.name])})
        norms = self._readers_of_all(kept)
        ways = {layer: self._way_of(layer, kept.get(layer)) for layer in called}
        norms |= {layer: self._as_a_whole(layer)[1] for layer in called if layer not in kept}
        return Verdicts(self._verdict(layer, ways.get(layer), norms.get(layer, [])) for layer in self._layers)

    def _verdict(self, layer: Layer, way: Way | None, norms: list[str]) -> Verdict:
        if layer.module not in self._plain.called:
            return Verdict(layer.name, Kind.FREE, (), "this forward never called it")
        if layer.spoiled:
            return Verdict(layer.name, Kind.UNSAFE, (), layer.spoiled)
        if way is not None:
            return Verdict(layer.name, way.kind, tuple(norms), way.reason)
        if norms:
            reason = f"{norms[0]} takes its scale away, but the forward changes with it all the same"
            return Verdict(layer.name, Kind.UNSAFE, tuple(norms), reason)
        return Verdict(layer.name, Kind.FREE, (), "the forward changes with its scale")

    def _kept(self, ways: dict[Layer, Way]) -> dict[Layer, Way]:
        """The ways under which the forward stays, found by halving: many pass together or fail alone.

        Layers tested together must not hide each other. Changes by factors drawn for each filter cancel by chance
        only, and a group must pass under several draws.
        """
        if not ways or all(self._stays(ways, draw) for draw in range(DRAWS if len(ways) > 1 else 1)):
            return ways
        if len(ways) == 1:
            return {}
        items, half = list(ways.items()), len(ways) // 2
        return self._kept(dict(items[:half])) | self._kept(dict(items[half:]))

    def _way_of(self, layer: Layer, kept: Way | None) -> Way | None:
        """The best that holds of one layer, whose promise was kept or not."""
        if kept is not None and kept.kind not in WHOLE:
            return kept
        each = Way(Kind.INVARIANT, layer.channels)
        factors = each.factors(layer, 0)
        run = self._run({layer: each}, {layer: factors}, self._frozen)
        if self._same(run):
            return each
        followed = each._replace(kind=Kind.COMPENSATED, reads=self._following(run, factors))
        if followed.reads and self._stays({layer: followed}):
            return followed
        if kept is None and self._as_a_whole(layer)[0]:
            kept = Way(Kind.PER_LAYER, 1, bias=True)
        if kept is not None and kept.kind is Kind.PER_LAYER:
            return next((way for way in self._by_groups(layer) if self._stays({layer: way})), kept)
        return kept

    def _following(self, run: Run, factors: Tensor) -> tuple[NormRead, ...]:
        """The frozen norms that see each filter scaled by its factor."""
        ratios = {name: ratio_seen(run.norm_calls[name], self._plain.norm_calls[name]) for name in self._frozen}
        return tuple(
            NormRead(name, self._frozen[name], Kind.COMPENSATED)
            for name, ratio in ratios.items()
            if ratio is not None and alike(ratio, factors)
        )

    def _by_groups(self, layer: Layer) -> Iterator[Way]:
        for groups in sorted({norm.num_groups for norm in self._norms.values() if isinstance(norm, nn.GroupNorm)}):
            if 1 < groups < layer.channels and layer.channels % groups == 0:
                yield Way(Kind.PER_GROUP, groups, bias=True)

    def _as_a_whole(self, layer: Layer) -> tuple[bool, list[str]]:
        """Whether the forward stays if the layer, bias included, is scaled by 4; and the norms that see just that.

        Their input is 4 times as long, and their output, unless they are frozen, has not changed.
        """
        if layer not in self._wholes:
            four = torch.full((layer.channels,), 4.0, device=layer.weight.device)
            run = self._run({layer: Way(Kind.PER_LAYER, 1, bias=True)}, {layer: four}, self._norms)
            found = []
            for name, calls in self._plain.norm_calls.items():
                for then, now in zip(calls, run.norm_calls[name]):
                    kept = name in self._frozen or close(now.fingerprint, then.fingerprint, 1e-3)
                    if kept and then.size > 0 and close(now.size, 4 * then.size, 1e-3):
                        found.append(name)
            self._wholes[layer] = self._same(run), list(dict.fromkeys(found))
        return self._wholes[layer]

    def _readers_of_all(self, ways: dict[Layer, Way]) -> dict[Layer, list[str]]:
        """The norms behind each layer, all at once.

        Every layer is scaled by a code of its own over a few runs, and each channel that enters a norm shows the code
        of the layer it comes from.
        """
        owners = dict(zip(codes(len(ways)), ways))
        runs = []
        for digits in zip(*owners):
            factors = {
                layer: torch.full((layer.channels,), digit, device=layer.weight.device)
                for layer, digit in zip(ways, digits)
            }
            runs.append(self._run(ways, factors, self._norms))
        found: dict[Layer, dict[str, None]] = {layer: {} for layer in ways}
        for name in self._norms if runs else ():
            for then, *now in zip(*(run.norm_calls[name] for run in (self._plain, *runs))):
                for code in codes_seen(then, now) & owners.keys():
                    found[owners[code]][name] = None
        return {layer: list(norms) for layer, norms in found.items()}

    def _stays(self, ways: Mapping[Layer, Way], draw: int = 0) -> bool:
        return self._same(self._run(ways, {layer: way.factors(layer, draw) for layer, way in ways.items()}))

    def _run(
        self, ways: Mapping[Layer, Way], factors: Mapping[Layer, Tensor], watch: Mapping[str, nn.Module] | None = None
    ) -> Run:
        repairs = [(read, layer.bias, factors[layer]) for layer, way in ways.items() for read in way.reads]
        biased = [layer for layer, way in ways.items() if way.bias]
        with scaled(factors, biased), statistics_kept(read.norm for read, _, _ in repairs):
            repair_statistics_(repairs)
            return Run(self._model, self._forward, norms=watch)

    def _same(self, run: Run) -> bool:
        pairs = zip(run.outputs, self._plain.outputs)
        return len(run.outputs) == len(self._plain.outputs) and all(close(a, b, _tolerance(b)) for a, b in pairs)


def _tolerance(like: Tensor) -> float:
    return TOLERANCE.get(like.dtype, HALF_TOLERANCE)
