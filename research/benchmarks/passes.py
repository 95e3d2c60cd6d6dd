"""One pass of each method over all weights of a large net, in units of (a), multiplying the same bytes once in place.

Beside them a loop over filters and the projection of AdamP (timm). Then each one's share of a training step, and that
of a monitor that reports every 50 updates. "memory" is the most that one pass allocates, divided by the weights' own.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torchvision
from rich.table import Table
from timm.optim.adamp import projection
from timm.optim.sgdp import SGDP
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.utils._pytree import tree_flatten

from normreg_plugins import (
    AdaptiveWeightShrink,
    CorrectedDecay,
    Hyperball,
    SphereDescent,
    WeightRescaling,
    attach,
    find_scale_invariant,
)
from normreg_plugins.core.training.gradients import LayerInputs, along_weights
from normreg_plugins.monitor import Monitor
from research.benchmarks.timing import Times, at_least, interleaved, peak_memory, ratios, spread

MODELS = Path(__file__).resolve().parents[2] / "configs" / "_base_" / "models"
LIMIT, LOOP, PROJECTION = "(a) multiply in place, once", "WRS, a loop over filters", "AdamP's projection"
FIRST = "the first update's test of gradients"
METHODS = {
    "WRS": WeightRescaling(interval=1),
    "AWS": AdaptiveWeightShrink(),
    "PGD": SphereDescent(),
    "Hyperball": Hyperball(),
    "corrected decay": CorrectedDecay(5e-4),
}
ROUNDS, REPORTS_EVERY = 10, 50
FORWARD_BACKWARD, REPORTED, UNREPORTED = "forward and backward", "SGD, with a report", "hooks of the monitor"


@dataclass
class Net:
    name: str
    model: nn.Module
    images: Tensor

    def loss(self, model: nn.Module) -> Tensor:
        """A loss without labels. A real one makes the step longer, and so the share of a method smaller."""
        outputs = model(self.images, mode="tensor") if self.name == "yolov3" else model(self.images)
        return torch.stack([output.square().mean() for output in tree_flatten(outputs)[0]]).sum()

    def forward_backward(self) -> None:
        self.model.zero_grad()
        self.loss(self.model).backward()


class Idle(Optimizer):
    """An optimizer that updates nothing, so that the time of its step is that of its hooks."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.parameters(), {"lr": 1e-3})

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        return None


def build(name: str, batch: int, size: int, device: str) -> Net:
    """YOLOv3 from mmdet, or any classifier of torchvision, with random weights."""
    if name == "yolov3":
        from mmdet.registry import MODELS as REGISTRY
        from mmdet.utils import register_all_modules
        from mmengine.config import Config

        register_all_modules()
        config = Config.fromfile(MODELS / "yolov3_d53.py").model
        config.backbone.init_cfg = None
        model = REGISTRY.build(config)
    else:
        model = torchvision.models.get_model(name, weights=None)
    return Net(name, model.to(device).train(), torch.randn(batch, 3, size, size, device=device))


def passes(net: Net) -> tuple[dict[str, Callable[[], Any]], list[nn.Parameter]]:
    """The functions to time, by name, and the weights that each works on: those that WRS takes."""
    steps, handles = {}, {}
    verdicts = find_scale_invariant(net.model, net.loss)  # as a proof: one gradient serves all, which change weights
    for name, method in METHODS.items():
        optimizer = Idle(net.model)
        handles[name] = attach(optimizer, net.model, method, forward=net.loss, proof=verdicts)
        steps[name] = optimizer.step
    weights = [net.model.get_parameter(name) for name in handles["WRS"].targets]
    plain = [weight.detach() for weight in weights]
    perturbed = [weight.grad.clone() for weight in weights if weight.grad is not None]

    def loop_over_filters() -> None:
        for weight in plain:
            for one in weight:
                one.div_(one.norm())

    def adamp() -> None:
        for weight, update in zip(weights, perturbed, strict=True):
            projection(weight.detach(), weight.grad, update, delta=0.1, wd_ratio=0.1, eps=1e-8)

    def first() -> None:
        along_weights(handles["WRS"]._targets, LayerInputs([]))

    rivals = {LIMIT: lambda: torch._foreach_mul_(plain, 1.0), LOOP: loop_over_filters, PROJECTION: adamp}
    return {**rivals, **steps, FIRST: first}, weights


def training(net: Net) -> dict[str, Callable[[], Any]]:
    """The parts of a training step, without a method."""
    settings: Any = {"lr": 1e-6, "momentum": 0.9, "weight_decay": 5e-4}
    sgd, sgdp, reported = (kind(net.model.parameters(), **settings) for kind in (SGD, SGDP, SGD))
    unreported = Idle(net.model)
    Monitor(reported, net.model, every=1)
    Monitor(unreported, net.model, every=10**9)
    steps = {"SGD": sgd.step, "SGDP": sgdp.step, REPORTED: reported.step, UNREPORTED: unreported.step}
    return {FORWARD_BACKWARD: net.forward_backward, **steps}


def shares(times: Times) -> dict[str, float]:
    """Which share of a training step each method takes, the projection in SGDP and AdamP, and the monitor."""

    def of_a_step(extra: list[float], every: int = 1) -> float:
        parts = zip(extra, times["SGD"], times[FORWARD_BACKWARD], strict=True)
        return statistics.median(more / every / (more / every + step + rest) for more, step, rest in parts)

    def more_than_sgd(name: str) -> list[float]:
        return [mine - sgd for mine, sgd in zip(times[name], times["SGD"], strict=True)]

    found = {f"{name}, every update": of_a_step(times[name]) for name in METHODS}
    found["WRS, every 10 updates"] = of_a_step(times["WRS"], every=10)
    found["the projection of SGDP"] = of_a_step(more_than_sgd("SGDP"))
    report = of_a_step(more_than_sgd(REPORTED), every=REPORTS_EVERY)
    found[f"monitor, a report every {REPORTS_EVERY} updates"] = report + of_a_step(times[UNREPORTED])
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    names = ["yolov3"] * bool(find_spec("mmdet")) + torchvision.models.list_models(torchvision.models)
    add("--model", default="yolov3" if find_spec("mmdet") else "resnet101", choices=names, metavar="NAME")
    add("--batch", type=at_least(2), default=8)
    add("--size", type=at_least(32), default=160, help="side of the images")
    add("--device", default="cpu")


def tables(args: argparse.Namespace) -> Iterator[str | Table]:
    net = build(args.model, args.batch, args.size, args.device)
    net.forward_backward()
    work, weights = passes(net)
    times = interleaved({**work, **training(net)}, args.rounds)
    entries = sum(weight.numel() for weight in weights)
    yield f"{net.name} on {args.device}: {len(weights)} weights, {entries / 1e6:.1f} M entries"
    shown = Table("one pass", "x (a)", "quartiles", "memory")
    for name in (LIMIT, *METHODS, FIRST, LOOP, PROJECTION):
        memory = peak_memory(work[name]) / (4 * entries)
        shown.add_row(name, *spread(ratios(times[name], times[LIMIT])), f"{memory:.2f}")
    yield shown
    shown = Table(f"of a training step ({args.batch} images of {args.size} px, SGD)", "share")
    for name, share in shares(times).items():
        shown.add_row(name, f"{100 * share:.2f} %")
    yield shown
