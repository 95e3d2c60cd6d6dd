"""Put a method around `optimizer.step()`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn
from torch.optim import LBFGS, Optimizer

from normreg_plugins.core.copies import handle_of
from normreg_plugins.core.discover import find_claims, overruled
from normreg_plugins.core.dynamo import keep_step_hooks
from normreg_plugins.core.errors import AttachError
from normreg_plugins.core.handle import Handle
from normreg_plugins.core.methods import Method
from normreg_plugins.core.phase import PerEpoch
from normreg_plugins.core.select import choose
from normreg_plugins.core.verdict import Verdicts


def attach(
    optimizer: Optimizer,
    model: nn.Module,
    method: Method,
    select: str | Iterable[str] | None = None,
    *,
    forward: Callable[[nn.Module], Any] | None = None,
    proof: Verdicts | None = None,
    updates_per_epoch: PerEpoch = None,
    schedulers: Sequence[Any] = (),
) -> Handle:
    """Let `method` act around every update of `optimizer` until `handle.detach()`.

    Call it before making a learning rate scheduler (weight decay may need a parameter group of its own), and on resume
    before `optimizer.load_state_dict`, which wants the same groups; the update count is in the optimizer's state.

    Args:
        select: names or patterns of weights or layers; replaces the choice the method would make.
        forward: a callable that runs one training forward of the model it is given. With it the weights are chosen by
            what that forward shows. Without it they are chosen by structure, and the first real training forward is
            watched; if it contradicts the structure, an error names the weight before anything is updated.
        proof: what `prove_scale_invariant` found of this model; where it differs, numbers overrule what was seen or
            promised. They do not tell which statistics follow a weight; only a forward does, given or watched.
        updates_per_epoch: needed by a method whose phase is given in epochs; a callable is asked at the first update.
        schedulers: learning rate schedulers that exist already. Where a parameter group must be split, the lists they
            keep beside the groups grow with them.
    """
    refuse_unsound(optimizer, model, method)
    keep_step_hooks(optimizer)
    claims = find_claims(model, forward)
    if proof is not None:
        claims = overruled(claims, proof)
    choice = choose(claims, method, select, optimizer)
    return Handle(
        optimizer,
        model,
        method,
        choice,
        watch=forward is None,
        test_gradients=forward is None and proof is None,
        updates_per_epoch=updates_per_epoch,
        schedulers=schedulers,
    )


def refuse_unsound(optimizer: Any, model: nn.Module, method: Any) -> None:
    """Say early what cannot work."""
    if not isinstance(method, Method):
        raise AttachError(f"method={method!r}: must be a WeightRescaling, AdaptiveWeightShrink or SphereDescent object")
    if not isinstance(optimizer, Optimizer):
        hint = "; pass its .optimizer" if hasattr(optimizer, "optimizer") else ""
        raise AttachError(f"optimizer={type(optimizer).__name__}: must be a torch.optim.Optimizer{hint}")
    if isinstance(optimizer, LBFGS):
        raise AttachError(
            "LBFGS evaluates its closure many times in one step and learns curvature from the differences; moving "
            "weights in between would falsify both. Use an optimizer that takes one gradient per step."
        )
    if handle_of(optimizer) is not None:
        raise AttachError(f"{handle_of(optimizer)!r} is attached to this optimizer already; detach() it first")
    for module in model.modules():
        if type(module).__name__ == "FullyShardedDataParallel":
            raise AttachError(
                "FSDP1 keeps weights in flat pieces that cut through filters. Shard with FSDP2 "
                "(torch.distributed.fsdp.fully_shard), which keeps filters whole, or train with DDP."
            )
    for name, parameter in model.named_parameters():
        if hasattr(parameter, "ds_id"):
            raise AttachError(
                f"{name}: DeepSpeed ZeRO-3 keeps weights in flat pieces that cut through filters. Use ZeRO stage 0, "
                "FSDP2 (torch.distributed.fsdp.fully_shard) or DDP."
            )
