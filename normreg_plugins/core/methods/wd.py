"""Weight decay (WD) as the papers' baseline has it. It never acts on weights itself; the optimizer decays them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normreg_plugins.core.methods.base import DecayOn, Method, TimeUnit
from normreg_plugins.core.verdicts import WeightReport


@dataclass(frozen=True, repr=False)
class WeightDecay(Method):
    """Only weight decay, on what the WRS paper's baseline decays: kernels and the gammas of norm layers (Section VI-A).

    It makes a comparison fair: verdicts, averages and resume are the same as with the other methods. Fully connected
    layers, of which the paper says nothing, are decayed as kernels.

    Args:
        begin, end, unit: the phase with weight decay, as in `WeightRescaling`; 'WD init' in the paper (Fig. 1, 6a).
        decay_on: where the optimizer's weight decay acts; see `WeightRescaling`.
        select: names or patterns of weights or layers that averages and logs use.
    """

    begin: int = 0
    end: int | None = None
    unit: TimeUnit = "update"
    decay_on: DecayOn = "kernels_and_gammas"

    decay_in_phase = True

    def takes(self, reports: Sequence[WeightReport]) -> list[WeightReport]:
        """The weights whose scale the network cannot see; without any, all of them."""
        return super().takes(reports) or list(reports)
