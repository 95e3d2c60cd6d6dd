"""What every method is: settings, the weights it takes, and how filters change around an update."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol, cast, get_args

from normreg_plugins.core.methods.target import Scaled, Target
from normreg_plugins.core.model import Per
from normreg_plugins.core.options import check_names, check_phase, require
from normreg_plugins.core.verdicts import Kind, WeightReport


class Rates(Protocol):
    """Returns the learning rate of each target, or another setting of its parameter group; None if it has none.

    "weight_decay" is the optimizer's own, also where `decay_on` turns it off.
    """

    def __call__(self, key: str = "lr") -> Sequence[Any]: ...


TimeUnit = Literal["update", "epoch"]
DecayOn = Literal["all", "others", "norm_layers", "kernels_and_gammas"]
"""Where the optimizer's weight decay acts: on everything; on all but the method's own weights; only on gamma and beta
of norm layers; only on conv and linear weights and gammas."""
# Typed constants, because an annotation inside the class would make a setting of a default.
_UPDATE: TimeUnit = "update"
_FILTER: Per = "filter"
_ALL: DecayOn = "all"


@dataclass(frozen=True, repr=False)
class Method:
    """When and how filters change. `attach` counts updates, finds the weights and calls the method.

    A subclass turns one of the class attributes below into a setting by declaring it as a dataclass field.

    Args:
        select: names or patterns of weights or layers to act on, instead of the method's own choice.
    """

    select: str | Iterable[str] | None = field(default=None, kw_only=True)

    interval = 1
    """`after_update` is called after every so many updates."""
    begin = 0
    end = cast("int | None", None)
    unit = _UPDATE
    """It acts after `begin` and until `end`, counted in this unit."""
    per = _FILTER
    """The parts of a weight that get one factor each."""
    output_layers = cast("tuple[str, ...]", ())
    """Weights to take although no norm layer follows them."""
    decay_on = _ALL
    """Where the optimizer's weight decay acts."""
    decoupled = False
    """Whether that decay acts beside the step, as in AdamW, whatever the optimizer."""
    decay_in_phase = False
    """Whether that decay is off outside of the phase."""

    def __post_init__(self) -> None:
        if self.select is not None and not isinstance(self.select, str):
            object.__setattr__(self, "select", check_names("select", self.select))
            require(bool(self.select), "select", self.select, "at least one name, or None for the method's own choice")
        check_phase(self.begin, self.end, self.unit)
        require(self.decay_on in get_args(DecayOn), "decay_on", self.decay_on, f"one of {get_args(DecayOn)}")

    @property
    def state_keys(self) -> tuple[str, ...]:
        """What `start` puts in `target.state` of every weight. A resumed state that lacks it is refused."""
        return ()

    @property
    def filter_norm(self) -> float | None:
        """The norm that it gives every filter; None if that is not one number. Logs say what it does to the rate."""
        return None

    @property
    def keeps_directions(self) -> bool:
        """Whether it only scales filters. If not, logs say how far it turns them when it first acts."""
        return True

    def takes(self, reports: Sequence[WeightReport]) -> list[WeightReport]:
        """The weights it acts on when `select` names none: those whose scale the network cannot see."""
        return [report for report in reports if report.kind in (Kind.INVARIANT, Kind.COMPENSATED)]

    def objection(self, report: WeightReport) -> str:
        """Why it cannot act on a weight that was named; '' if it can."""
        return ""

    def start(self, targets: Sequence[Target]) -> list[Scaled]:
        """Called before the first forward, again if weights are loaded after `attach`; returns what was scaled.

        A method with `state_keys` gets weights that are unfrozen later too.
        """
        return []

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        """Called when the gradients are complete."""
        return []

    def after_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        """Called after an update whose number is a multiple of `interval`."""
        return []

    def __repr__(self) -> str:
        """The first setting, and those that differ from their defaults."""
        settings = sorted(fields(self), key=lambda f: bool(f.kw_only))
        shown = [f.name for f in settings if f is settings[0] or getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"
