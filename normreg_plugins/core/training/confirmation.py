"""Compare what the structure promised with the first real forward and its gradients, before the first update."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.errors import StructureMismatchError, UnconfirmedWarning
from normreg_plugins.core.methods import Target
from normreg_plugins.core.model import is_sharded
from normreg_plugins.core.training.selection import held_by
from normreg_plugins.core.verdicts import Kind, WeightReport

SCALE_BLIND = (Kind.INVARIANT, Kind.COMPENSATED)
RADIAL_LIMIT = 0.25
"""Above this the loss sees the scale. 1 is the radial share of a random gradient. The radial share of an invariant
weight's gradient is rounding error: about 1e-5 in float32, below 0.1 under bfloat16 autocast."""
NEGLIGIBLE = 1e-3
"""A gradient whose pull is below this part of the strongest one is mostly rounding error."""


class Confirmation:
    """What is not confirmed yet, and the error if a promise was found to be false.

    Args:
        reports: by structure.
        targets: what a method acts on, or will when it is trained.
        by_gradients: whether targets that the first forward does not show are tested by their gradients.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        reports: Sequence[WeightReport],
        targets: Sequence[Target],
        by_gradients: bool,
    ) -> None:
        self._model, self._optimizer = model, optimizer
        self._reports, self._targets = reports, targets
        self._open = list(targets) if by_gradients else []
        self._mismatch: StructureMismatchError | None = None
        self.saw_forward = False
        """Whether the first forward showed any target."""
        self.refuted: dict[Target, str] = {}
        """What the optimizer does not hold yet, and turned out different from what the structure promised."""

    def first_forward(self, traced: list[WeightReport]) -> None:
        """Compares with what the first forward showed."""
        unseen, wrong = compare(self._model, self._reports, traced, self._targets)
        held = held_by(self._optimizer)
        for target, why in wrong.items():
            if id(target.weight) in held:
                self._mismatch = StructureMismatchError(why)
                raise self._mismatch
        self.refuted = wrong
        self._open = [target for target in self._open if target in unseen]
        self.saw_forward = len(unseen) < len(self._targets)

    def before_update(self, optimizer: Optimizer) -> bool:
        """Raises if a promise was found to be false; tests the targets still open by their gradients.

        Returns whether nothing is open any more.
        """
        if self._mismatch is not None:
            raise self._mismatch  # also if the error was caught at the forward, nothing may be updated
        ready = [target for target in self._open if target.started and target.weight.grad is not None]
        if ready:
            self._open = [target for target in self._open if target not in ready]
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            self._report(ready, seen_by_gradients(ready, parameters))
        return not self._open

    def _report(self, tested: list[Target], suspects: list[str]) -> None:
        found = "the gradients agree"
        if suspects:
            found = f"{', '.join(suspects)}: the gradient has a part along the weight, so the loss sees its scale"
            if self.saw_forward:
                raise StructureMismatchError(
                    f"{found}, against what the structure promised. Name weights with select=."
                )
            found += ", or it contains more than the loss (a penalty, noise)"
        others = f" and {len(tested) - 1} more targets" if len(tested) > 1 else ""
        warnings.warn(
            f"The first training forward did not show {tested[0].name}{others}: the model is compiled, or only parts "
            "of it were called, or the forward left them out. They were chosen by structure and tested only by their "
            f"gradients; {found}. Pass forward= to attach() to trace a forward.",
            UnconfirmedWarning,
            stacklevel=2,
        )


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
                f"{target.name}: the layer was changed after attach (parametrized, tied or replaced). Change layers "
                "first, then attach; or detach() and attach again."
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


@torch.no_grad()
def seen_by_gradients(targets: Sequence[Target], parameters: Iterable[Tensor]) -> list[str]:
    """Lemma 3.1 of the WRS paper as a test: the gradient of a scale invariant filter is orthogonal to it.

    It serves a model whose forward could not be traced, and waits for the GPU once. Compensated weights are not tested,
    because the lemma does not apply to frozen norm layers. Nor are weights whose gradient is tiny beside the gradients
    of all `parameters`, because rounding errors have any direction.

    Returns:
        The weights whose scale the gradients seem to see.
    """
    tested = [t for t in targets if t.report.kind is Kind.INVARIANT and t.weight.grad is not None]
    if not tested:
        return []
    sizes = torch.stack([_pull(p).to("cpu", torch.float32) for p in parameters if p.grad is not None])
    shares = torch.stack([_radial_share(t).to("cpu", torch.float32) for t in tested])
    pulls = torch.stack([_pull(t.weight).to("cpu", torch.float32) for t in tested])
    seen = (shares > RADIAL_LIMIT) & (pulls > NEGLIGIBLE * sizes.max()) & shares.isfinite()
    return [target.name for target, yes in zip(tested, seen.tolist()) if yes]


def _radial_share(target: Target) -> Tensor:
    """|<g, w>| / (||g|| ||w||) over all filters, relative to that of a random gradient: 1 / sqrt(fan-in)."""
    assert target.weight.grad is not None
    weight, grad = (target.filters.view(x).float() for x in (target.weight, target.weight.grad))
    direction = weight / target.filters.norms(weight).clamp_min(1e-30)
    radial = (grad * direction).sum(target.filters.dims)
    return radial.norm() / grad.norm().clamp_min(1e-30) * math.sqrt(target.filters.fan_in)


def _pull(parameter: Tensor) -> Tensor:
    """||g|| ||w||: how much the loss depends on a parameter, whatever its scale."""
    assert parameter.grad is not None
    return parameter.grad.float().norm() * parameter.float().norm()
