"""Compare what the structure promised with the first real forward and its gradients, before the first update."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.errors import StructureMismatchError, UnconfirmedWarning
from normreg_plugins.core.methods import Target
from normreg_plugins.core.model import is_sharded, local
from normreg_plugins.core.training.gradients import Along, LayerInputs, along_weights
from normreg_plugins.core.training.selection import held_by
from normreg_plugins.core.verdicts import Kind, WeightReport

SCALE_BLIND = (Kind.INVARIANT, Kind.COMPENSATED)


class Confirmation:
    """What is not confirmed yet, and the error if a promise was found to be false.

    The first forward is compared with what was promised, and the first gradient of each target is tested before
    anything is updated.

    Args:
        reports: by structure, or by a forward that was given.
        targets: what a method acts on, or will when it is trained.
        traced: whether a forward was given.
        proven: whether a proof was given. A contradiction of gradients is then a warning.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        reports: Sequence[WeightReport],
        targets: Sequence[Target],
        *,
        traced: bool,
        proven: bool,
    ) -> None:
        self._model, self._optimizer = model, optimizer
        self._promised, self._targets, self._proven = reports, targets, proven
        self._open = [target for target in targets if target.report.kind in SCALE_BLIND]
        self._hidden = [] if traced or proven else list(self._open)
        """What no forward has shown yet."""
        self._without_gradient: set[Target] = set()
        self._updates = 0
        self._mismatch: StructureMismatchError | None = None
        self.inputs = LayerInputs([target.report for target in targets])
        self.found: dict[Target, Along] = {}
        self.waits_for_forward = not traced
        """Whether the first forward has to be traced."""

    def first_forward(self, traced: list[WeightReport]) -> dict[Target, str]:
        """Compares with what the first forward showed.

        Returns the targets that turned out different, with the reason, where the optimizer does not hold them yet.
        """
        unseen, wrong = compare(self._model, self._promised, traced, self._targets)
        held = held_by(self._optimizer)
        for target, why in wrong.items():
            if id(target.weight) in held:
                self._mismatch = StructureMismatchError(why)
                raise self._mismatch
        self._hidden = [target for target in self._hidden if target in unseen or target in wrong]
        return wrong

    def before_update(self) -> bool:
        """Raises if a promise was found to be false, by the first forward or by the gradients.

        Tests the gradients that come for the first time. Returns whether none is left to test. Behind a gamma of zero a
        gradient is zero at first; zero gradients are tested again in updates 2, 4, 8, ...
        """
        if self._mismatch is not None:
            raise self._mismatch  # also if the error was caught, nothing may be updated
        if self._proven and not self.inputs.dtypes:
            return True  # there are numbers for it already, and gradients of a forward that was not seen say little
        self._updates += 1
        again = not self._updates & (self._updates - 1)
        self._open = [target for target in self._open if not self.inputs.have_another_weight(target.layer.module)]
        ready = [target for target in self._open if target.started and target.weight.grad is not None]
        ready = [target for target in ready if again or target not in self._without_gradient]
        if ready:
            found = along_weights(ready, self.inputs)
            self._without_gradient.update(target for target in ready if target.name not in found)
            self._open = [target for target in self._open if target.name not in found]
            self._judge({target: found[target.name] for target in ready if target.name in found})
        self.inputs.forget()
        return not self._open

    def _judge(self, found: Mapping[Target, Along]) -> None:
        self.found.update(found)
        doubtful = {target: along for target, along in found.items() if along.excess > 1}
        # What is in nearly all gradients is not what a few layers do: noise, clipping by value, a penalty.
        everywhere = len(doubtful) >= max(3, 0.75 * len(found))
        for target, along in doubtful.items():
            if along.is_clear and not (everywhere or self._proven or _is_clipped(target.weight.grad)):
                self._mismatch = StructureMismatchError(
                    f"{target.name}: promised {target.report.kind} ({target.report.reason}), but its gradient has a "
                    f"part along the weight: {along.share:.2g} of a random gradient's, where rounding leaves at most "
                    f"{along.share / along.excess:.0e}. Something besides its norm layer sees the scale, such as a "
                    "loss that reads its output. Nothing was updated yet. Name the other weights with select=; if "
                    "gradients are changed on purpose, pass proof=."
                )
                raise self._mismatch
        hidden = [target for target in found if target in self._hidden]
        if doubtful:
            worst = sorted(doubtful, key=lambda target: -doubtful[target].excess)
            self._warn(
                f"{_named([f'{t.name} ({doubtful[t].share:.2g})' for t in worst])}: the gradient has a part along the "
                "weight (1 is a random gradient) that norm layers and rounding do not explain. A penalty in the loss, "
                "noise or clipping may, or something sees the scale: prove_scale_invariant tells."
            )
        elif hidden:
            self._warn(
                f"The first training forward did not show {_named([target.name for target in hidden])}: the model is "
                "compiled, or only parts of it were called, or the forward left them out. They were chosen by "
                "structure and tested only by their gradients, which agree. Pass forward= to attach() to trace a "
                "forward."
            )

    @staticmethod
    def _warn(message: str) -> None:
        warnings.warn(message, UnconfirmedWarning, stacklevel=2)


def compare(
    model: nn.Module, promised: Sequence[WeightReport], traced: Sequence[WeightReport], targets: Sequence[Target]
) -> tuple[list[Target], dict[Target, str]]:
    """Compares; warns of weights that could have been taken too.

    A norm layer that was replaced after attach, as `convert_sync_batchnorm` does, is followed by the new one.

    Args:
        promised: by structure.
        traced: from a forward.
        targets: what a method already acts on.

    Returns:
        The targets that this forward left out, as stochastic depth may, or hid, as a compiled part does; and those
        that turned out different, with what to do.
    """
    found = {id(report.layer.weight): report for report in traced}
    by_name = {report.layer.name: report for report in traced}
    present = {id(module) for module in model.modules()}
    unseen: list[Target] = []
    wrong: dict[Target, str] = {}
    for target in targets:
        promise, report = target.report, found.get(id(target.weight))
        if is_sharded(target.weight):  # FSDP2 may have put a gathered tensor in its place
            report = by_name.get(target.name)
        if report is None or report.layer.not_scalable != target.layer.not_scalable:
            wrong[target] = (
                f"{target.name}: the layer was changed after attach: it is parametrized, tied, replaced, or called "
                "with another tensor (functional_call). Change layers first, then attach; or detach() and attach again."
            )
        elif not report.traced:
            unseen.append(target)
        elif promise.kind not in SCALE_BLIND or _agrees(promise, report):
            continue
        elif report.kind in SCALE_BLIND and not any(id(reader.norm) in present for reader in promise.readers):
            target.report = report
        else:
            through = f" through {', '.join(report.norms)}" if report.kind in SCALE_BLIND else ""
            wrong[target] = (
                f"{target.name}: the structure promised {promise.kind} ({promise.reason}), but the first forward shows "
                f"{report.kind}{through} ({report.reason}). Nothing was updated yet. Pass forward= to attach() to "
                "choose by a traced forward, or name the weights with select=."
            )
    _warn_of_missed(promised, found)
    return unseen, wrong


def _agrees(promised: WeightReport, traced: WeightReport) -> bool:
    """Whether acting on the promise keeps the function: the scale is invisible and the same statistics follow."""
    if traced.kind not in SCALE_BLIND:
        return False
    followed = {id(reader.norm) for reader in promised.readers}
    return all(id(reader.norm) in followed and reader.channels is None for reader in traced.readers)


def _warn_of_missed(promised: Sequence[WeightReport], found: dict[int, WeightReport]) -> None:
    missed = [
        report.layer.name
        for report in promised
        if report.kind not in SCALE_BLIND
        and id(report.layer.weight) in found
        and found[id(report.layer.weight)].kind in SCALE_BLIND
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


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _is_clipped(gradient: Tensor | None) -> bool:
    """Whether several entries have the greatest absolute value, as after clipping by value."""
    sizes = local(gradient).abs() if gradient is not None else torch.zeros(1)
    return int((sizes == sizes.max()).sum()) > 2
