"""The images of one update are part of a protocol: how to keep them on several GPUs, and how to change them.

A protocol's config says what its numbers are written for:

    auto_scale_lr = dict(enable=False, base_batch_size=8, written_for=8)

`base_batch_size` is the number of images of one update. `written_for` is the number of images of one iteration, that
is, of one forward pass on all GPUs together. The two differ only where gradients are accumulated. A config without
`written_for` is no protocol and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmengine.config import Config

from normreg_plugins.cli.preflight.batch_changes import (
    scale_iterations,
    scale_rates,
    scale_summed_losses,
    scale_updates,
)
from normreg_plugins.core.errors import NormRegError

RANKS_IN = {"pytorch": "WORLD_SIZE", "slurm": "SLURM_NTASKS", "mpi": "OMPI_COMM_WORLD_SIZE"}
"""The environment variable in which each launcher says how many ranks there are."""


class TotalBatchError(NormRegError):
    """The images of one update are not those of the protocol; the message names the ways out."""


@dataclass(frozen=True)
class Batch:
    """The images of one update, and how they come together."""

    ranks: int
    per_rank: int
    accumulated: int

    @property
    def iteration(self) -> int:
        return self.ranks * self.per_rank

    @property
    def total(self) -> int:
        return self.iteration * self.accumulated

    def __str__(self) -> str:
        parts = [f"{self.ranks} GPU{'s' * (self.ranks > 1)}", f"{self.per_rank} image{'s' * (self.per_rank > 1)} each"]
        if self.accumulated > 1:
            parts.append(f"{self.accumulated} accumulated iterations")
        return f"{' x '.join(parts)} = {self.total}"


@dataclass(frozen=True)
class Protocol:
    """What the numbers of a config are written for."""

    update: int
    iteration: int

    def counts_that_split(self, accumulated: int) -> list[int]:
        """The numbers of ranks that share the batch of an update evenly."""
        return [ranks for ranks in range(1, self.update + 1) if self.update % (ranks * accumulated) == 0]


def ranks_of(launcher: str, environ: Mapping[str, str]) -> int:
    return int(environ.get(RANKS_IN.get(launcher, ""), "1"))


def batch_of(cfg: Config, ranks: int) -> Batch:
    return Batch(ranks, cfg.train_dataloader["batch_size"], cfg.optim_wrapper.get("accumulative_counts", 1))


def protocol_of(cfg: Config) -> Protocol | None:
    declared = cfg.get("auto_scale_lr") or {}
    if not declared.get("written_for"):
        return None
    return Protocol(declared["base_batch_size"], declared["written_for"])


def refuse_other_batch(cfg: Config, name: str, ranks: int) -> None:
    """Raise TotalBatchError unless the protocol trains exactly as it is written: on one rank, with its own batch."""
    protocol, batch = protocol_of(cfg), batch_of(cfg, ranks)
    if protocol is None or (ranks == 1 and (batch.total, batch.iteration) == (protocol.update, protocol.iteration)):
        return
    raise TotalBatchError(
        f"{name} is a protocol: its rates and its number of updates are for {protocol.update} images in an update, "
        f"{protocol.iteration} of them in an iteration on one GPU. This run has {batch}.\n"
        f"Choose one of two ways:\n"
        f"  --split-batch  {_split_in_words(protocol, batch)}\n"
        f"  --grow-batch   {_grow_in_words(protocol, batch)}\n"
        "To train something else on purpose: --cfg-options auto_scale_lr.written_for=0 leaves all numbers as they are."
    )


def _split_in_words(protocol: Protocol, batch: Batch) -> str:
    try:
        share = share_of(protocol, batch)
    except TotalBatchError as error:
        return f"is not possible here: {error}"
    each = f"{share} image{'s' * (share > 1)} on each of {batch.ranks} GPUs" if batch.ranks > 1 else f"{share} images"
    return f"keeps the protocol: {each}, synchronized batch norm, the same updates."


def _grow_in_words(protocol: Protocol, batch: Batch) -> str:
    factor = batch.total / protocol.update
    return (
        f"changes it: {batch.total} images in an update, {factor:.3g} times the protocol's. Rates grow with the batch, "
        "and the number of updates is divided by the same factor."
    )


def share_of(protocol: Protocol, batch: Batch) -> int:
    """Images per rank if the ranks share the protocol's batch."""
    share, rest = divmod(protocol.update, batch.ranks * batch.accumulated)
    if rest:
        counts = ", ".join(map(str, protocol.counts_that_split(batch.accumulated))) or "none"
        times = f" in {batch.accumulated} accumulated iterations" if batch.accumulated > 1 else ""
        raise TotalBatchError(
            f"{protocol.update} images{times} do not split over {batch.ranks} GPUs. These numbers of GPUs do: {counts}."
        )
    return share


def split_batch(cfg: Config, ranks: int) -> list[str]:
    """Let `ranks` ranks share the protocol's batch, so that every update stays the same. Return what was changed.

    Gradients are averaged over ranks and over accumulated iterations. So a loss that is a mean over images stays as it
    is, and a loss that is a sum over the images of one rank is multiplied.
    """
    protocol, batch = _protocol(cfg), batch_of(cfg, ranks)
    share = share_of(protocol, batch)
    cfg.train_dataloader["batch_size"] = share
    changes = [f"{share} images on each rank: {Batch(ranks, share, batch.accumulated)} in an update"]
    if ranks > 1:
        cfg.sync_bn = "torch"
        changes.append("batch norm is synchronized over the ranks")
    changes += scale_summed_losses(cfg.model, protocol.iteration / share)
    changes += scale_iterations(cfg, protocol.iteration / (ranks * share))
    cfg.auto_scale_lr["written_for"] = 0  # the numbers are for this run now, also in the config that it saves
    return changes


def grow_batch(cfg: Config, ranks: int) -> list[str]:
    """Keep the images per rank, so that an update has more of them. Return what was changed."""
    protocol, batch = _protocol(cfg), batch_of(cfg, ranks)
    changes = [f"{batch} in an update, in place of the protocol's {protocol.update}"]
    changes += scale_summed_losses(cfg.model, protocol.iteration / batch.per_rank)
    changes += scale_iterations(cfg, protocol.iteration / batch.iteration)
    changes += scale_updates(cfg, protocol.update / batch.total)
    changes += scale_rates(cfg, batch.total / protocol.update)
    cfg.auto_scale_lr["written_for"] = 0
    return changes


def _protocol(cfg: Config) -> Protocol:
    protocol = protocol_of(cfg)
    if protocol is None:
        raise TotalBatchError(
            "--split-batch and --grow-batch need to know what the config's numbers are written for: "
            "auto_scale_lr=dict(enable=False, base_batch_size=IMAGES_OF_AN_UPDATE, written_for=IMAGES_OF_AN_ITERATION)"
        )
    return protocol
