"""Change the numbers of an mm config in step with its batch: losses, lengths, rates. Each returns what it changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

STEPS = ("begin", "end", "T_max", "step_size", "total_iters")
"""Numbers of a scheduler that count iterations, if the scheduler does not count epochs."""

DECOUPLED = ("AdamW", "NormRegAdamP")
"""Optimizers of Adam's kind whose weight decay is multiplied by the rate and not by the gradient's scale."""


def scale_summed_losses(model: Any, factor: float) -> list[str]:
    """Multiply every loss that is a sum over the images of one rank (`reduction="sum"`)."""
    if factor == 1:
        return []
    losses = list(_summed_losses(model))
    for loss in losses:
        loss["loss_weight"] = loss.get("loss_weight", 1.0) * factor
    return [f"{len(losses)} losses that are sums over a rank's images: weights x {factor:g}"] if losses else []


def _summed_losses(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if str(node.get("type", "")).endswith("Loss") and node.get("reduction") == "sum":
            yield node
        for part in node.values():
            yield from _summed_losses(part)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _summed_losses(part)


def scale_iterations(cfg: Config, factor: float) -> list[str]:
    """Lengths that count iterations: schedulers, and in a loop by iterations its end, validations and checkpoints."""
    if factor == 1:
        return []
    changed: list[str] = []
    for scheduler in cfg.get("param_scheduler") or []:
        if scheduler.get("by_epoch", True):
            continue
        names = [name for name in STEPS if scheduler.get(name) is not None]
        changed += [_scaled(scheduler, name, factor, least=0) for name in names]
        if "milestones" in scheduler:
            scheduler["milestones"] = [round(step * factor) for step in scheduler["milestones"]]
    if "max_iters" in cfg.train_cfg:
        changed += [
            _scaled(cfg.train_cfg, name, factor) for name in ("max_iters", "val_interval") if name in cfg.train_cfg
        ]
        checkpoint = cfg.get("default_hooks", {}).get("checkpoint") or {}
        if not checkpoint.get("by_epoch", True) and checkpoint.get("interval", -1) > 0:
            changed.append(_scaled(checkpoint, "interval", factor))
    return [f"counts of iterations x {factor:.4g}: {', '.join(changed)}"] if changed else []


def scale_updates(cfg: Config, factor: float) -> list[str]:
    """Settings of a method that count updates."""
    if factor == 1:
        return []
    changed = []
    for regularizer in _regularizers(cfg):
        if "interval" in regularizer:
            changed.append(_scaled(regularizer, "interval", factor))
        phase = [name for name in ("begin", "end") if regularizer.get(name) is not None]
        if regularizer.get("unit", "update") == "update":
            changed += [_scaled(regularizer, name, factor, least=0) for name in phase]
    return [f"the method's counts of updates x {factor:.4g}: {', '.join(changed)}"] if changed else []


def _regularizers(cfg: Config) -> list[dict[str, Any]]:
    """The settings of the methods, from the optimizer wrapper and from hooks."""
    places = [cfg.optim_wrapper, *(cfg.get("custom_hooks") or [])]
    return [place["regularizer"] for place in places if place.get("regularizer")]


def scale_rates(cfg: Config, factor: float) -> list[str]:
    """Learning rates for updates of `factor` times as many images.

    SGD: the linear rule (Goyal et al. 2017). Rate x k. What weight decay and AWS take in an epoch stays the same.

    Adam, AdamW, AdamP: the square-root rule (Malladi et al. 2022). Rate x sqrt(k). An update divides the gradient by
    its own size, so its noise falls with sqrt(k) and not with k. Where decay is decoupled from the gradient, it is
    multiplied by sqrt(k) too, and AWS's alpha as well. So an epoch, which has k times fewer updates, takes the same.
    """
    if factor == 1:
        return []
    optimizer = cfg.optim_wrapper.optimizer
    adaptive = optimizer.type.startswith("Adam")
    rule = factor**0.5 if adaptive else factor
    settings = [(optimizer, "lr"), *((scheduler, "eta_min") for scheduler in cfg.get("param_scheduler") or [])]
    if adaptive:
        settings += [(optimizer, "weight_decay")] if optimizer.type in DECOUPLED else []
        settings += [(regularizer, "alpha") for regularizer in _regularizers(cfg)]
    changed = [_scaled_number(place, name, rule) for place, name in settings if place.get(name)]
    return [f"{'square-root' if adaptive else 'linear'} rule for {optimizer.type}: {', '.join(changed)}"]


def _scaled(settings: dict[str, Any], name: str, factor: float, least: int = 1) -> str:
    """Scale a whole number in place, and say how it changed."""
    old, settings[name] = settings[name], max(least, round(settings[name] * factor))
    return f"{name} {old} -> {settings[name]}"


def _scaled_number(settings: dict[str, Any], name: str, factor: float) -> str:
    old, settings[name] = settings[name], settings[name] * factor
    return f"{name} {old:.4g} -> {settings[name]:.4g}"
