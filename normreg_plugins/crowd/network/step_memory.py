"""Computes how much memory a training step takes, without running it."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

GIB = 2**30


@dataclass(frozen=True)
class StepMemory:
    """Bytes of one training step."""

    activations: int
    parameters: int
    optimizer: int

    @property
    def total(self) -> int:
        # Twice the parameters: each has a gradient of the same size.
        return self.activations + 2 * self.parameters + self.optimizer

    def __str__(self) -> str:
        return (
            f"{self.total / GIB:.1f} GiB: {self.activations / GIB:.1f} activations kept for the "
            f"backward pass, {2 * self.parameters / GIB:.2f} weights and gradients, "
            f"{self.optimizer / GIB:.2f} optimizer; workspaces of the device are not counted"
        )


def step_memory(
    model: nn.Module, batch: int, side: int | tuple[int, int], states: int = 2, half: bool = False
) -> StepMemory:
    """Memory of a step of one process with `batch` images.

    The forward pass runs on torch's meta device, where tensors have shapes but no numbers. The sizes of the tensors
    that autograd keeps for the backward pass are added up, each once.

    Args:
        side: side of square images in pixels, or (height, width).
        states: how many numbers the optimizer keeps per parameter: 2 for Adam, 1 for SGD with momentum.
        half: mixed precision. Activations have 2 bytes per number. Weights, gradients and the numbers of the optimizer
            keep 4, and each weight has a copy of 2, which autocast makes.
    """
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    dtype = torch.float16 if half else torch.float32
    shadow = _alone(copy.deepcopy(model).to(device="meta", dtype=dtype).train())
    weights = {p.untyped_storage()._cdata for p in shadow.parameters()}
    kept: dict[int, Tensor] = {}  # by address; holding the tensors keeps addresses from being reused

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in weights:
            kept[storage] = tensor
        return tensor

    height, width = (side, side) if isinstance(side, int) else side
    images = torch.empty(batch, 3, height, width, device="meta", dtype=dtype)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        shadow(images)
    copies = sum(p.numel() * p.element_size() for p in shadow.parameters()) if half else 0
    return StepMemory(
        activations=sum(t.untyped_storage().nbytes() for t in kept.values()) + copies,
        parameters=parameters,
        optimizer=states * parameters,
    )


def _alone(model: nn.Module) -> nn.Module:
    """Make every SyncBatchNorm a BatchNorm2d, in place. In a process group a SyncBatchNorm refuses the meta device.

    The two have the same parameters and buffers, so a change of class is enough.
    """
    for module in model.modules():
        if isinstance(module, nn.SyncBatchNorm):
            module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]
    return model
