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


def step_memory(model: nn.Module, batch: int, side: int, states: int = 2) -> StepMemory:
    """Memory of a step with `batch` square crops of `side` pixels, in float32.

    The forward pass runs on torch's meta device, where tensors have shapes but no numbers. The sizes of the tensors
    that autograd keeps for the backward pass are added up, each once.

    Args:
        states: how many numbers the optimizer keeps per parameter: 2 for Adam, 1 for SGD with momentum.
    """
    shadow = copy.deepcopy(model).to(device="meta").train()
    weights = {p.untyped_storage()._cdata for p in shadow.parameters()}
    kept: dict[int, Tensor] = {}  # by address; holding the tensors keeps addresses from being reused

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in weights:
            kept[storage] = tensor
        return tensor

    images = torch.empty(batch, 3, side, side, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        shadow(images)
    parameters = sum(p.numel() * p.element_size() for p in shadow.parameters())
    return StepMemory(
        activations=sum(t.untyped_storage().nbytes() for t in kept.values()),
        parameters=parameters,
        optimizer=states * parameters,
    )
