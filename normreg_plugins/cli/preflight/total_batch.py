"""A paper's learning rate assumes a global batch size: keep that size on N GPUs.

A protocol's config says what its numbers are written for:

    auto_scale_lr = dict(enable=False, base_batch_size=8, written_for=8)

`base_batch_size` is the number of images per update, `written_for` the number per iteration, that is, per forward pass
on all GPUs together. They differ only where gradients are accumulated. A config without `written_for` is no protocol
and is not changed. `variant={"train_dataloader.batch_size": 16, ...}` declares the settings for one other batch, for
numbers of GPUs that the first does not split over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mmengine.config import Config

from normreg_plugins.cli.preflight.check import mappings_in
from normreg_plugins.core.errors import NormRegError

RANKS_IN = {"pytorch": "WORLD_SIZE", "slurm": "SLURM_NTASKS", "mpi": "OMPI_COMM_WORLD_SIZE"}
"""The environment variable in which each launcher says how many ranks there are."""

STEPS = ("begin", "end", "T_max", "step_size", "total_iters")
"""A scheduler's settings that count iterations, unless it counts epochs."""


class TotalBatchError(NormRegError):
    """The number of images per update is not the protocol's; the message names the ways out."""


class Batch(NamedTuple):
    """The images of one update: ranks x images per rank x accumulated iterations."""

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
        accumulated = f" x {self.accumulated} accumulated iterations" if self.accumulated > 1 else ""
        return f"{_n(self.ranks, 'GPU')} x {_n(self.per_rank, 'image')} each{accumulated} = {self.total}"


def _n(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number > 1)}"


class Protocol(NamedTuple):
    """What the numbers of a config are written for: images per update, and per iteration."""

    update: int
    iteration: int


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
    """Raise TotalBatchError unless a protocol trains exactly as written: on one rank, with its own batch."""
    protocol, batch = protocol_of(cfg), batch_of(cfg, ranks)
    if protocol is None or (ranks == 1 and (batch.total, batch.iteration) == (protocol.update, protocol.iteration)):
        return
    try:
        split = f"keeps the protocol: {_n(share_of(protocol, batch), 'image')} per GPU, synchronized batch norm."
    except TotalBatchError as error:
        split = f"is not possible here: {error}"
    images = _variant_images(cfg)
    share, rest = divmod(images, batch.ranks * batch.accumulated)
    variant = f"--total-batch {images} is the variant that this config declares: {_n(share, 'image')} per GPU.\n"
    raise TotalBatchError(
        f"{name} is a paper's protocol: its learning rate and its number of updates are for {protocol.update} images "
        f"per update, {protocol.iteration} per iteration on one GPU. This run has {batch}.\n"
        f"--split-batch {split}\n{variant if images and not rest else ''}"
        "To train another batch on purpose, with rates of your own: --cfg-options auto_scale_lr.written_for=0"
    )


def _variant_images(cfg: Config) -> int:
    return int((cfg.auto_scale_lr.get("variant") or {}).get("train_dataloader.batch_size", 0))


def share_of(protocol: Protocol, batch: Batch) -> int:
    """Images per rank if the ranks share the protocol's batch."""
    share, rest = divmod(protocol.update, batch.ranks * batch.accumulated)
    if rest:
        counts = [str(n) for n in range(1, protocol.update + 1) if protocol.update % (n * batch.accumulated) == 0]
        times = f" in {batch.accumulated} accumulated iterations" if batch.accumulated > 1 else ""
        raise TotalBatchError(
            f"{protocol.update} images{times} do not split over {_n(batch.ranks, 'GPU')}. "
            f"These numbers of GPUs do: {', '.join(counts) or 'none'}."
        )
    return share


def adopt_variant(cfg: Config, images: int) -> list[str]:
    """Take the settings of the declared variant for the protocol. Return what was changed."""
    if (declared := _variant_images(cfg)) != images:
        raise TotalBatchError(f"--total-batch {images}: the config declares {declared or 'no variant'}")
    variant = dict(cfg.auto_scale_lr["variant"])
    cfg.merge_from_dict(variant)
    cfg.auto_scale_lr.update(base_batch_size=images, written_for=images)
    return [f"{key} = {value}" for key, value in variant.items()]


def split_batch(cfg: Config, ranks: int) -> list[str]:
    """Let `ranks` ranks share the protocol's batch, so that every update stays the same. Return what was changed.

    Gradients are averaged over ranks and over accumulated iterations. So a loss that is a mean over images stays as it
    is, and a loss that is a sum over the images of one rank is multiplied.
    """
    protocol, batch = protocol_of(cfg), batch_of(cfg, ranks)
    if protocol is None:
        raise TotalBatchError(
            "--split-batch needs to know what batch the config is written for: "
            "auto_scale_lr=dict(enable=False, base_batch_size=IMAGES_PER_UPDATE, written_for=IMAGES_PER_ITERATION)"
        )
    share = share_of(protocol, batch)
    cfg.train_dataloader["batch_size"] = share
    changes = [f"{share} images on each rank: {Batch(ranks, share, batch.accumulated)} per update"]
    if ranks > 1:
        cfg.sync_bn = "torch"
        changes.append("batch norm is synchronized over the ranks")
    changes += scale_summed_losses(cfg.model, protocol.iteration / share)
    changes += scale_iterations(cfg, protocol.iteration / (ranks * share))
    cfg.auto_scale_lr["written_for"] = 0  # the numbers fit this run now; so does the config that it saves
    return changes


def scale_summed_losses(model: Any, factor: float) -> list[str]:
    """Multiply every loss that is a sum over the images of one rank (`reduction="sum"`)."""
    parts: list[Any] = [part for _, part in mappings_in(model, "model") if part.get("reduction") == "sum"]
    losses = [part for part in parts if str(part.get("type", "")).endswith("Loss")] if factor != 1 else []
    for loss in losses:
        loss["loss_weight"] = loss.get("loss_weight", 1.0) * factor
    return [f"{len(losses)} losses that are sums over a rank's images: weights x {factor:g}"] if losses else []


def scale_iterations(cfg: Config, factor: float) -> list[str]:
    """Lengths in iterations: of schedulers and, in a loop by iterations, its end, validations and checkpoints."""
    changed: list[str] = []
    for scheduler in cfg.get("param_scheduler") or []:
        if not scheduler.get("by_epoch", True):
            changed += _scaled(scheduler, STEPS, factor, least=0)
            if "milestones" in scheduler:
                scheduler["milestones"] = [round(step * factor) for step in scheduler["milestones"]]
    if "max_iters" in cfg.train_cfg:
        changed += _scaled(cfg.train_cfg, ("max_iters", "val_interval"), factor)
        checkpoint = cfg.get("default_hooks", {}).get("checkpoint") or {}
        if not checkpoint.get("by_epoch", True) and checkpoint.get("interval", -1) > 0:
            changed += _scaled(checkpoint, ("interval",), factor)
    return [f"counts of iterations x {factor:.4g}: {', '.join(changed)}"] if factor != 1 and changed else []


def _scaled(settings: dict[str, Any], names: Iterable[str], factor: float, least: int = 1) -> list[str]:
    """Scale those of the integers that are set, and say how each changed."""
    old = {name: settings[name] for name in names if settings.get(name) is not None}
    settings.update({name: max(least, round(value * factor)) for name, value in old.items()})
    return [f"{name} {value} -> {settings[name]}" for name, value in old.items()]
