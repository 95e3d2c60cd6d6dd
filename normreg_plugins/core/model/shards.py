"""Tensors that FSDP2 shards. A shard holds complete filters; norm layers are not sharded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import pad

from normreg_plugins.core.model.filters import is_sharded


def local(values: Tensor) -> Tensor:
    """This process's part of a sharded tensor; any other tensor as it is."""
    return values.to_local() if hasattr(values, "to_local") else values


def full_tensor(values: Tensor) -> Tensor:
    """All of a sharded tensor; any other tensor as it is."""
    return values.full_tensor() if hasattr(values, "full_tensor") else values


def full_tensors(values: Sequence[Tensor | None]) -> list[Any]:
    """`full_tensor` of each vector. Those that are sharded alike are gathered in one message."""
    sharded: list[Any] = [each for each in values if is_sharded(each)]
    if not sharded or not _are_alike(sharded):
        return [each if each is None else full_tensor(each) for each in values]
    mesh, placements = sharded[0].device_mesh, sharded[0].placements
    (dim,) = (index for index, placement in enumerate(placements) if placement.is_shard())
    ranks = mesh.size(dim)
    lengths = [-(-len(each) // ranks) for each in sharded]  # of the parts; the last ranks may have less
    parts = [pad(local(each), (0, length)).narrow(0, 0, length) for each, length in zip(sharded, lengths)]
    sent = torch.cat(parts)
    received = sent.new_empty(ranks * len(sent))
    dist.all_gather_into_tensor(received, sent, group=mesh.get_group(dim))
    pieces = zip(received.view(ranks, -1).split(lengths, dim=1), sharded)
    found = iter([piece.reshape(-1)[: len(each)] for piece, each in pieces])
    return [next(found) if is_sharded(each) else each for each in values]


def _are_alike(sharded: Sequence[Any]) -> bool:
    """Whether all are vectors of one dtype that are divided among the same ranks, in one dimension of the mesh."""
    kinds = {(each.ndim, each.dtype, each.device_mesh, tuple(each.placements)) for each in sharded}
    placements = sharded[0].placements
    shards = [placement for placement in placements if not placement.is_replicate()]
    return len(kinds) == 1 and sharded[0].ndim == 1 and len(shards) == 1 and shards[0].is_shard()
