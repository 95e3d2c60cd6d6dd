"""One weight, divided into parts, and which weights are measured and scaled together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor, nn

from normreg_plugins.core.model.filters import Filters
from normreg_plugins.core.model.layers import Layer
from normreg_plugins.core.model.one_launch import one_launch_takes


@dataclass(eq=False)
class DividedWeight:
    """The weight of one layer."""

    layer: Layer
    parts: Filters
    """The parts that are scaled by one factor each: filters, unless the method or the norm layer needs others."""
    filters: Filters
    kept: dict[str, Tensor] = field(default_factory=dict)
    """What the method keeps of this weight from its start on. The optimizer's state carries it."""
    scratch: dict[str, Tensor] = field(default_factory=dict)
    """What the method needs within one update; not saved."""
    acts: Tensor | None = None
    """A bool on the device. If it is False, the step was skipped, and the weight must stay. None: it was not."""

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def weight(self) -> nn.Parameter:
        return self.layer.weight

    @property
    def values(self) -> Tensor:
        return self.parts.view(self.weight)

    @property
    def in_one_launch(self) -> bool:
        """Whether a single GPU kernel scales it together with others."""
        return one_launch_takes(self.weight, self.parts)


Weight = TypeVar("Weight", bound=DividedWeight)


def batches(weights: Sequence[Weight]) -> Iterator[Sequence[Weight]]:
    """Weights to measure and scale together.

    On a CPU one at a time is fastest, because a small weight is still in the cache when it is scaled. On a GPU all
    weights of one dtype together are fastest, because that takes few calls.
    """
    together = defaultdict(list)
    for weight in weights:
        if weight.weight.device.type == "cpu" and not weight.in_one_launch:
            yield [weight]
        else:
            together[weight.in_one_launch, weight.weight.dtype, weight.weight.device].append(weight)
    yield from together.values()
