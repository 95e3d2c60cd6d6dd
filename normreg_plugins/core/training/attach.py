"""Put a method around `optimizer.step()`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from torch import nn
from torch.optim import LBFGS, Optimizer

from normreg_plugins.core.errors import AttachError
from normreg_plugins.core.methods import Method
from normreg_plugins.core.old_torch import keep_step_hooks
from normreg_plugins.core.training.confirmation import Confirmation
from normreg_plugins.core.training.handle import Handle, handle_of
from normreg_plugins.core.training.selection import select_targets
from normreg_plugins.core.training.steps import PerEpoch
from normreg_plugins.core.verdicts import Forward, Verdicts, find, overruled


def attach(
    optimizer: Optimizer,
    model: nn.Module,
    method: Method,
    select: str | Iterable[str] | None = None,
    *,
    forward: Forward | None = None,
    proof: Verdicts | None = None,
    updates_per_epoch: PerEpoch = None,
) -> Handle:
    """Let `method` act around every update of `optimizer` until `handle.detach()`.

    Checkpoints of the optimizer carry the update count. On resume, attach first, then load.

    Args:
        select: short for the method's own `select`: names or patterns of weights or layers to act on.
        forward: a callable that runs one training forward of the model it is given. With it the weights are chosen by
            what that forward shows. Without it they are chosen by structure, and the first real training forward is
            traced. If that contradicts the structure, an error names the weight before anything is updated.
        proof: what `prove_scale_invariant` found for this model. Where it differs, it overrules the structure or the
            traced forward. A proof does not say which statistics follow a weight; only a forward does.
        updates_per_epoch: needed by a method whose phase is given in epochs; a callable is called at the first update.
    """
    refuse_unsound(optimizer, model, method)
    if select is not None:
        method = replace(method, select=select)
    keep_step_hooks(optimizer)
    reports = find(model, forward)
    if proof is not None:
        reports = overruled(reports, proof)
    selection = select_targets(reports, method, optimizer)
    traced, proven = forward is not None, proof is not None
    confirmation = Confirmation(model, optimizer, reports, selection.targets, traced=traced, proven=proven)
    return Handle(optimizer, model, method, selection, confirmation, updates_per_epoch)


def refuse_unsound(optimizer: Any, model: nn.Module, method: Any) -> None:
    """Refuses what cannot work, with the way out."""
    if not isinstance(method, Method):
        raise AttachError(f"method={method!r}: must be a method such as WeightRescaling(interval=10)")
    if not isinstance(optimizer, Optimizer):
        hint = "; pass its .optimizer" if hasattr(optimizer, "optimizer") else ""
        raise AttachError(f"optimizer={type(optimizer).__name__}: must be a torch.optim.Optimizer{hint}")
    _refuse_optimizer(optimizer)
    if handle_of(optimizer) is not None:
        raise AttachError(f"{handle_of(optimizer)!r} is attached to this optimizer already; detach() it first")
    _refuse_sharded(model)


def _refuse_optimizer(optimizer: Optimizer) -> None:
    if isinstance(optimizer, LBFGS):
        raise AttachError(
            "LBFGS evaluates its closure many times in one step and learns curvature from the differences; changing "
            "weights in between would falsify both. Use an optimizer that takes one gradient per step."
        )
    if any(cls.__name__ == "ZeroRedundancyOptimizer" for cls in type(optimizer).__mro__):
        raise AttachError(
            "ZeroRedundancyOptimizer updates other weights on each rank, so the running statistics of one rank would "
            "miss the rescales of the others. Use a plain optimizer with DDP, or FSDP2 (fully_shard)."
        )
    for name, value in vars(optimizer).items():
        if isinstance(value, Optimizer):
            raise AttachError(
                f"{type(optimizer).__name__} wraps an optimizer, whose step makes the updates: attach to that one, "
                f"optimizer.{name}"
            )


def _refuse_sharded(model: nn.Module) -> None:
    for module in model.modules():
        if type(module).__name__ == "FullyShardedDataParallel":
            raise AttachError(
                "FSDP1 keeps weights in flat pieces that cut through filters. Shard with FSDP2 "
                "(torch.distributed.fsdp.fully_shard), which does not cut filters, or train with DDP."
            )
    for name, parameter in model.named_parameters():
        if hasattr(parameter, "ds_id"):
            raise AttachError(
                f"{name}: DeepSpeed ZeRO-3 keeps weights in flat pieces that cut through filters. Use ZeRO stage 0, "
                "FSDP2 (torch.distributed.fsdp.fully_shard) or DDP."
            )
