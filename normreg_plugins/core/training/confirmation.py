"""Compare what the structure promised with the first real forward, before the first update acts on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

from torch import Tensor

from normreg_plugins.core.errors import StructureMismatchError, UnconfirmedWarning
from normreg_plugins.core.methods import Target
from normreg_plugins.core.training.gradient_test import seen_by_gradients
from normreg_plugins.core.verdicts import Kind, WeightReport

SCALE_BLIND = (Kind.INVARIANT, Kind.COMPENSATED)


class Confirmation:
    """Keeps what is not confirmed yet, and the error if a promise was found to be false.

    Args:
        reports: by structure.
        targets: what a method acts on.
        by_gradients: whether targets that the first forward does not show are tested by their gradients.
    """

    def __init__(self, reports: Sequence[WeightReport], targets: Sequence[Target], by_gradients: bool) -> None:
        self._reports, self._targets = reports, targets
        self._open = list(targets) if by_gradients else []
        self._mismatch: StructureMismatchError | None = None
        self._any_watched = False

    def first_forward(self, watched: list[WeightReport]) -> None:
        """Compare with what the first forward showed."""
        try:
            unseen = compare(self._reports, watched, self._targets)
        except StructureMismatchError as mismatch:
            self._mismatch = mismatch
            raise
        self._open = [target for target in self._open if target in unseen]
        self._any_watched = len(unseen) < len(self._targets)

    def before_update(self, parameters: Callable[[], Iterable[Tensor]]) -> None:
        """Raise if a promise was found to be false; test by their gradients the targets still open."""
        if self._mismatch is not None:
            raise self._mismatch  # also if the error was caught at the forward, nothing may be updated
        ready = [target for target in self._open if target.weight.grad is not None]
        if ready:
            self._open = [target for target in self._open if target not in ready]
            self._by_gradients(ready, seen_by_gradients(ready, parameters()))

    def _by_gradients(self, tested: list[Target], suspects: list[str]) -> None:
        found = "the gradients agree"
        if suspects:
            found = f"{', '.join(suspects)}: the gradient has a part along the weight, so the loss sees its scale"
            if self._any_watched:
                raise StructureMismatchError(
                    f"{found}, against what the structure promised. Name weights with select=."
                )
            found += ", or it holds more than the loss (a penalty, noise)"
        warnings.warn(
            f"The first training forward did not show {tested[0].name} and {len(tested) - 1} more targets: the model "
            "is compiled, or only its parts were called, or the forward left them out. They were chosen by structure "
            f"and tested by their gradients only; {found}. Pass forward= to attach() so that a forward is watched.",
            UnconfirmedWarning,
            stacklevel=2,
        )


def compare(
    promised: Sequence[WeightReport], watched: Sequence[WeightReport], targets: Sequence[Target]
) -> list[Target]:
    """Raise where a target turns out to be something else; warn of weights that could have been taken too.

    Args:
        promised: by structure.
        watched: on a forward.
        targets: what a method already acts on.

    Returns:
        The targets that this forward left out, as stochastic depth may, or hid, as a compiled part does.
    """
    found = {report.layer.name: report for report in watched}
    unseen = [target for target in targets if not found[target.name].traced]
    for target in targets:
        promise, report = target.report, found[target.name]
        if target in unseen or promise.kind not in SCALE_BLIND or _keeps(promise, report):
            continue
        through = " through other norm layers or channels" if report.kind in SCALE_BLIND else ""
        raise StructureMismatchError(
            f"{target.name}: the structure promised {promise.kind} ({promise.reason}), but the first forward shows "
            f"{report.kind}{through} ({report.reason}). Nothing was updated yet. Pass forward= to attach() so that "
            "the model is watched while it runs, or name the weights with select=."
        )
    _tell_of_missed(promised, found)
    return unseen


def _keeps(promised: WeightReport, watched: WeightReport) -> bool:
    """Whether acting on the promise keeps the function: the scale is invisible and the same statistics follow."""
    if watched.kind not in SCALE_BLIND:
        return False
    kept = {id(reader.norm) for reader in promised.readers}
    return all(id(reader.norm) in kept and reader.channels is None for reader in watched.readers)


def _tell_of_missed(promised: Sequence[WeightReport], found: dict[str, WeightReport]) -> None:
    missed = [
        report.layer.name
        for report in promised
        if report.kind not in SCALE_BLIND
        and found[report.layer.name].kind in SCALE_BLIND
        and report.layer.not_scalable is None
    ]
    if missed:
        warnings.warn(
            f"The first forward shows {len(missed)} more scale invariant weights than the structure: "
            f"{', '.join(missed[:5])}{', ...' if len(missed) > 5 else ''}. They are left alone; pass forward= to "
            "attach() to take them too.",
            UnconfirmedWarning,
            stacklevel=2,
        )
