"""The numeric truth about scale invariance: scale filters, run the training forward again, compare.

Nothing is assumed about how the model is built. Factors are powers of two, so that a scale that the network takes away
is taken away without rounding; norms' eps is set to nearly nothing; and parameters that are constant (zero biases, zero
gammas of residual branches, tiny layer scales) are made random for the time of the proof, so that what is invisible
only by today's values does not pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.discover import find_claims
from normreg_plugins.core.errors import ProofError
from normreg_plugins.core.parts import Layer, is_frozen, is_norm, layers_of
from normreg_plugins.core.preserve import untouched
from normreg_plugins.core.reads import NormRead
from normreg_plugins.core.runs import NormCall, Run, generic_point, scaled, statistics_kept
from normreg_plugins.core.targets import repair_statistics_
from normreg_plugins.core.verdict import Kind, Verdict, Verdicts

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}
HALF_TOLERANCE = 3e-2
DRAWS = 3
"""How many draws of factors a group of layers must pass."""
CODE = (1.0, 0.25, 4.0, 16.0)
"""Factors that serve as digits; a norm that no layer feeds directly reads all ones, which is no layer's number."""


def prove_scale_invariant(model: nn.Module, forward: Callable[[nn.Module], Any]) -> Verdicts:
    """The same verdicts as `find_scale_invariant`, by numbers alone; the model comes back as it was.

    Args:
        forward: a callable that runs one training forward of the model it is given and returns what depends on it
            (outputs or losses). It must compute the same again under the same random state.
    """
    layers = layers_of(model)
    hints = {claim.layer.name: claim.kind for claim in find_claims(model, forward)}
    with untouched(model), torch.no_grad(), generic_point(model):
        return _Proof(model, forward, layers, hints).verdicts()


class _Proof:
    """
    Args:
        hints: what each weight looks like; it decides which are tested together, not what comes out.
    """

    def __init__(
        self, model: nn.Module, forward: Callable[[nn.Module], Any], layers: list[Layer], hints: Mapping[str, Kind]
    ) -> None:
        self._model, self._forward, self._layers, self._hints = model, forward, layers, hints
        self._norms = {name: m for name, m in model.named_modules() if is_norm(m)}
        self._plain = Run(model, forward, layers, self._norms)
        if not self._plain.outputs:
            raise ProofError(
                "forward returned nothing that holds a floating point tensor: return the outputs or losses"
            )
        if not self._same(Run(model, forward, layers, self._norms)):
            raise ProofError("forward computed something else the second time, under the same random state")

    def verdicts(self) -> Verdicts:
        called = [layer for layer in self._layers if layer.module in self._plain.called]
        blind = self._blind(called, Kind.INVARIANT, self._per_filter)
        rest = [layer for layer in called if layer not in blind]
        frozen = any(map(is_frozen, self._norms.values()))
        repaired = self._blind(rest, Kind.COMPENSATED, self._repaired) if frozen else set()
        readers = self._readers_of_all([layer for layer in called if layer in blind])
        return Verdicts(self._verdict(layer, layer in blind, layer in repaired, readers) for layer in self._layers)

    def _verdict(self, layer: Layer, blind: bool, repaired: bool, readers: dict[Layer, list[str]]) -> Verdict:
        if layer.module not in self._plain.called:
            return Verdict(layer.name, Kind.FREE, (), "this forward never called it")
        if blind and not layer.spoiled:
            reason = "scaled filter by filter, the forward stays the same"
            return Verdict(layer.name, Kind.INVARIANT, tuple(readers[layer]), reason)
        four = self._four_times(layer)
        norms = tuple(self._readers(four))
        if layer.spoiled:
            return Verdict(layer.name, Kind.UNSAFE, norms, layer.spoiled)
        if repaired:
            return Verdict(layer.name, Kind.COMPENSATED, norms, "scaled with its frozen statistics, the forward stays")
        if self._same(four):
            kind, reason = self._grouping(layer)
            return Verdict(layer.name, kind, norms, reason)
        if norms:
            reason = f"{norms[0]} takes its scale away, but the forward changes with it all the same"
            return Verdict(layer.name, Kind.UNSAFE, norms, reason)
        return Verdict(layer.name, Kind.FREE, (), "the forward changes with its scale")

    def _blind(self, layers: Sequence[Layer], kind: Kind, same: Callable[[Sequence[Layer], int], bool]) -> set[Layer]:
        """The layers that pass a test: those that look like it together, the others one by one."""
        likely = [layer for layer in layers if self._hints.get(layer.name) == kind]
        unlikely = [layer for layer in layers if layer not in likely]
        return self._pass(likely, same).union(*(self._pass([layer], same) for layer in unlikely))

    def _pass(self, layers: Sequence[Layer], same: Callable[[Sequence[Layer], int], bool]) -> set[Layer]:
        """The layers that pass a test, found by halving: many pass together or fail alone.

        Layers tested together must not hide each other, so a group is tested under several draws of factors.
        """
        if not layers:
            return set()
        if all(same(layers, draw) for draw in range(DRAWS if len(layers) > 1 else 1)):
            return set(layers)
        if len(layers) == 1:
            return set()
        half = len(layers) // 2
        return self._pass(layers[:half], same) | self._pass(layers[half:], same)

    def _per_filter(self, layers: Sequence[Layer], draw: int) -> bool:
        return self._same(self._run({layer: _filter_factors(layer, draw) for layer in layers}))

    def _repaired(self, layers: Sequence[Layer], draw: int) -> bool:
        """Scale, and let the frozen norms behind follow: those that see each filter scaled by its factor."""
        factors = {layer: _filter_factors(layer, draw) for layer in layers}
        seen = self._run(factors)
        repairs = []
        for name, norm in self._norms.items():
            ratio = _spread_ratio(seen, self._plain, name) if is_frozen(norm) else None
            for layer, factor in factors.items():
                if ratio is not None and _alike(ratio, factor):
                    repairs.append((NormRead(name, norm, Kind.COMPENSATED), layer.bias, factor))
        return bool(repairs) and self._same(self._run(factors, repairs=repairs))

    def _grouping(self, layer: Layer) -> tuple[Kind, str]:
        counts = {m.num_groups for m in self._norms.values() if isinstance(m, nn.GroupNorm)}
        for groups in sorted(counts):
            if 1 < groups < layer.channels and layer.channels % groups == 0:
                factor = _draw(layer, groups, 0).repeat_interleave(layer.channels // groups)
                if self._same(self._run({layer: factor}, biases=True)):
                    return Kind.PER_GROUP, f"scaled alike in {groups} groups, the forward stays the same"
        return Kind.PER_LAYER, "scaled as a whole, the forward stays the same"

    def _four_times(self, layer: Layer) -> Run:
        """The whole layer, bias included, scaled by 4."""
        return self._run({layer: torch.full((layer.channels,), 4.0, device=layer.weight.device)}, biases=True)

    def _readers(self, four: Run) -> list[str]:
        """The norms whose input is 4 times as long and whose output, unless they are frozen, has not changed."""
        found = []
        for name, calls in self._plain.norm_calls.items():
            frozen = is_frozen(self._norms[name])
            for then, now in zip(calls, four.norm_calls[name]):
                kept = frozen or _close(now.fingerprint, then.fingerprint, 1e-3)
                if kept and _close(now.size, 4 * then.size, 1e-3):
                    found.append(name)
        return list(dict.fromkeys(found))

    def _readers_of_all(self, blind: Sequence[Layer]) -> dict[Layer, list[str]]:
        """The norms behind each layer, nearly all at once.

        Every layer is scaled by a code of its own over a few runs, and each channel that enters a norm shows the code
        of the layer it comes from. A layer whose code shows nowhere is asked alone.
        """
        digits = max(1, math.ceil(math.log(len(blind) + 2, len(CODE))))
        codes = {_code(number + 1, digits): layer for number, layer in enumerate(blind)}
        runs = [
            self._run({layer: torch.full((layer.channels,), code[d]).to(layer.weight) for code, layer in codes.items()})
            for d in range(digits)
        ]
        found: dict[Layer, dict[str, None]] = {layer: {} for layer in blind}
        for name in self._norms:
            for then, *now in zip(*(run.norm_calls[name] for run in (self._plain, *runs))):
                for row in _channel_codes(then, now):
                    if row in codes:
                        found[codes[row]][name] = None
        return {layer: list(names) or self._readers(self._four_times(layer)) for layer, names in found.items()}

    def _run(
        self,
        factors: dict[Layer, Tensor],
        biases: bool = False,
        repairs: Sequence[tuple[NormRead, Tensor | None, Tensor]] = (),
    ) -> Run:
        with scaled(factors, biases), statistics_kept(read.norm for read, _, _ in repairs):
            repair_statistics_(repairs)
            return Run(self._model, self._forward, self._layers, self._norms)

    def _same(self, run: Run) -> bool:
        pairs = zip(run.outputs, self._plain.outputs)
        return len(run.outputs) == len(self._plain.outputs) and all(_close(a, b, _tolerance(b)) for a, b in pairs)


def _filter_factors(layer: Layer, draw: int) -> Tensor:
    return _draw(layer, layer.channels, draw)


def _draw(layer: Layer, count: int, draw: int) -> Tensor:
    """2, 4, 8 or 16 each, not all alike where there are several. All above 1, so that no product of them cancels."""
    generator = torch.Generator().manual_seed(layer.order * DRAWS + draw)
    powers = torch.randint(1, 5, (count,), generator=generator)
    if count > 1:
        powers[0], powers[-1] = 1, 4
    return (2.0**powers).to(layer.weight.device)


def _channel_codes(then: NormCall, now: Sequence[NormCall]) -> set[tuple[float, ...]]:
    """How much each channel that enters a norm was scaled in each run."""
    if then.spreads is None:
        return set()
    ratios = torch.stack([call.spreads / then.spreads for call in now if call.spreads is not None], dim=-1)
    return {tuple(row) for row in ratios.log2().nan_to_num(0, 0, 0).round().exp2().tolist()}


def _spread_ratio(run: Run, plain: Run, name: str) -> Tensor | None:
    """How much each channel that enters a norm was scaled, if the norm works by channel and all its calls agree."""
    pairs = list(zip(run.norm_calls[name], plain.norm_calls[name]))
    ratios = [now.spreads / then.spreads for now, then in pairs if now.spreads is not None and then.spreads is not None]
    return ratios[0] if ratios and all(_alike(ratio, ratios[0]) for ratio in ratios) else None


def _alike(ratio: Tensor, factor: Tensor) -> bool:
    return ratio.shape == factor.shape and torch.allclose(ratio.nan_to_num(1.0), factor.to(ratio), rtol=1e-2)


def _code(number: int, digits: int) -> tuple[float, ...]:
    """A number in the positional system whose digits are the factors of CODE."""
    return tuple(CODE[number // len(CODE) ** d % len(CODE)] for d in range(digits))


def _tolerance(like: Tensor) -> float:
    return TOLERANCE.get(like.dtype, HALF_TOLERANCE)


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    if a.shape != b.shape:
        return False
    a, b = a.double(), b.double()
    finite = b.isfinite()
    if not torch.equal(finite, a.isfinite()):
        return False
    difference = (a - b)[finite].norm()
    return bool(difference <= tolerance * b[finite].norm() + 1e-30)
