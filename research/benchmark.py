#!/usr/bin/env python
"""The time that a method takes, beside the least it could take: `python research/benchmark.py`.

It times one pass of WRS, AWS, PGD and Hyperball over all weights of a large net, and measures the memory that each of
them needs for a while. It also times (a) multiplying the same bytes once, (b) a loop over filters, (c) the projection
of AdamP (timm). Then it prints each one's share of a training step.
It ends with what a monitor costs that reports every 50 updates.
Everything is timed in turns, round by round, so that a busy machine slows all equally. The results are ratios, medians
over the rounds. --plot draws them with their quartiles.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torchvision
from rich.console import Console
from rich.progress import track
from rich.table import Table
from timm.optim.adamp import AdamP, projection
from timm.optim.sgdp import SGDP
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.utils._pytree import tree_flatten

from normreg_plugins import AdaptiveWeightShrink, Handle, Hyperball, SphereDescent, WeightRescaling, attach
from research.monitor_cost import monitor_cost
from research.spread_plot import plot_quartiles

MODELS = Path(__file__).resolve().parents[1] / "configs" / "_base_" / "models"
LIMIT, LOOP, PROJECTION = "(a) multiply in place, once", "(b) WRS, a loop over filters", "(c) AdamP's projection"
METHODS = {
    "WRS": WeightRescaling(interval=1),
    "AWS": AdaptiveWeightShrink(),
    "PGD": SphereDescent(),
    "Hyperball": Hyperball(),
}
REPORTS_EVERY = 50
FORWARD_BACKWARD = "forward and backward"
WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize")
"""The calls that make the host wait. The profiler itself waits by cudaDeviceSynchronize, which is not counted."""


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
    """An optimizer that updates nothing, so that the time of its step is that of the attached method."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.parameters(), {"lr": 1e-3})

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        return None


def build(name: str, batch: int, size: int, device: torch.device) -> Net:
    """YOLOv3 from mmdet, or any classifier of torchvision, with random weights."""
    torch.manual_seed(0)
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


def passes(net: Net) -> tuple[dict[str, Callable[[], Any]], Handle]:
    """The functions to time, by name, all over the weights that WRS takes; and the handle of WRS."""
    steps, handles = {}, {}
    for name, method in METHODS.items():
        optimizer = Idle(net.model)
        handles[name] = attach(optimizer, net.model, method, forward=net.loss)
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

    rivals = {LIMIT: lambda: torch._foreach_mul_(plain, 1.0), LOOP: loop_over_filters, PROJECTION: adamp}
    return {**rivals, **steps}, handles["WRS"]


def optimizer_steps(model: nn.Module) -> dict[str, Callable[[], Any]]:
    made: list[Optimizer] = [kind(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4) for kind in (SGD, SGDP)]
    made += [kind(model.parameters(), lr=1e-4, weight_decay=5e-4) for kind in (AdamW, AdamP)]
    return {type(optimizer).__name__: optimizer.step for optimizer in made}


Times = dict[str, list[float]]


def interleaved(work: dict[str, Callable[[], Any]], rounds: int, wait: Callable[[], None]) -> Times:
    """Seconds of each function in each round. The first round warms up and is left out."""
    times: Times = {name: [] for name in work}
    for _ in track(range(rounds + 1), "measuring", console=Console(stderr=True)):
        for name, function in work.items():
            wait()
            start = time.perf_counter()
            function()
            wait()
            times[name].append(time.perf_counter() - start)
    return {name: found[1:] for name, found in times.items()}


def count_waits(function: Callable[[], Any]) -> int:
    """How often the host waits for the device in one call."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        function()
    return sum(event.count for event in profile.key_averages() if event.key in WAITS)


def peak_memory(function: Callable[[], Any]) -> int:
    """The most bytes that one call holds beyond what was there before."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        function()
    recorded: Any = profile.profiler
    changes = (event for event in recorded.kineto_results.events() if event.name() == "[memory]")
    in_order = sorted(changes, key=lambda event: event.start_ns() if hasattr(event, "start_ns") else event.start_us())
    return max(0, *itertools.accumulate((event.nbytes() for event in in_order), initial=0))


def pass_table(times: Times, memory: dict[str, float], waits: dict[str, int]) -> Table:
    shown = Table("one pass")
    for column in ("x (a)", "quartiles", "ms", "memory / weights", *(["host waits"] if waits else [])):
        shown.add_column(column, justify="right")
    for name, ratios in ratios_of(times).items():
        low, middle, high = statistics.quantiles(ratios, n=4)
        row = [name, f"{middle:.2f}", f"{low:.2f} - {high:.2f}", f"{1000 * statistics.median(times[name]):.1f}"]
        row.append(f"{memory[name]:.2f}")
        shown.add_row(*row, *([str(waits[name])] if waits else []))
    return shown


def ratios_of(times: Times) -> Times:
    """Each pass in units of (a), round by round."""
    return {
        name: [mine / limit for mine, limit in zip(times[name], times[LIMIT], strict=True)]
        for name in (LIMIT, *METHODS, LOOP, PROJECTION)
    }


def shares(times: Times) -> dict[str, float]:
    """The share of a training step that each method takes, and that the projection takes in SGDP and in AdamP."""

    def of_a_step(extra: list[float], optimizer: str) -> float:
        parts = zip(extra, times[optimizer], times[FORWARD_BACKWARD], strict=True)
        return statistics.median(more / (more + step + rest) for more, step, rest in parts)

    found = {f"{name}, every update": of_a_step(times[name], "SGD") for name in METHODS}
    found["WRS, every 10 updates"] = of_a_step([seconds / 10 for seconds in times["WRS"]], "SGD")
    for projected, base in (("SGDP", "SGD"), ("AdamP", "AdamW")):
        more = [mine - theirs for mine, theirs in zip(times[projected], times[base], strict=True)]
        found[f"{projected} instead of {base}"] = of_a_step(more, base)
    return found


def share_table(times: Times) -> Table:
    shown = Table("of one training step")
    shown.add_column("share", justify="right")
    for name, share in shares(times).items():
        shown.add_row(name, f"{100 * share:.2f} %")
    return shown


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--model", default="yolov3" if find_spec("mmdet") else "resnet101", help="yolov3, or a name of torchvision's")
    add("--batch", type=int, default=8)
    add("--size", type=int, default=160, help="side of the images")
    add("--rounds", type=int, default=10)
    add("--threads", type=int, default=torch.get_num_threads())
    add("--device", default="cpu")
    add("--plot", type=Path, help="picture of the passes to write, .png or .svg")
    args = parser.parse_args(argv)
    for name, least in (("batch", 2), ("size", 32), ("rounds", 2), ("threads", 1)):
        if getattr(args, name) < least:
            parser.error(f"--{name} {getattr(args, name)}: must be {least} or more")
    if args.model == "yolov3" and find_spec("mmdet") is None:
        parser.error("--model yolov3: needs mmdet (`make env` brings it); --model resnet101 does without")
    if args.model != "yolov3" and args.model not in torchvision.models.list_models(torchvision.models):
        parser.error(f"--model {args.model}: neither yolov3 nor a classifier of torchvision's")
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device {args.device}: torch sees no GPU")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    wait = (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)
    net = build(args.model, args.batch, args.size, device)
    net.forward_backward()
    work, handle = passes(net)
    times = interleaved(
        {**work, FORWARD_BACKWARD: net.forward_backward, **optimizer_steps(net.model)}, args.rounds, wait
    )
    waits = {name: count_waits(function) for name, function in work.items()} if device.type == "cuda" else {}
    targets = [net.model.get_parameter(name) for name in handle.targets]
    millions = sum(weight.numel() for weight in targets) / 1e6
    in_bytes = sum(weight.numel() * weight.element_size() for weight in targets)
    memory = {name: peak_memory(function) / in_bytes for name, function in work.items()}
    torch_version = torch.__version__.split("+")[0]
    console = Console()
    console.print(f"{net.name} on {device}, {args.threads} threads, torch {torch_version}, {args.rounds} rounds")
    console.print(f"\none pass over its {len(handle.targets)} targets, {millions:.1f} M entries")
    console.print(pass_table(times, memory, waits))
    console.print(f"\ntraining on {args.batch} images of {args.size} px, SGD with momentum where nothing else is said")
    console.print(share_table(times))
    handle.detach()
    optimizer = SGD(net.model.parameters(), lr=1e-6, momentum=0.9)
    cost = monitor_cost(net.model, optimizer, net.loss, every=REPORTS_EVERY, updates=args.rounds)
    console.print(f"\na monitor that reports every {REPORTS_EVERY} updates: {100 * cost.share:.2f} % of a step")
    if args.plot is not None:
        plot_quartiles(ratios_of(times), args.plot, label="time of one pass, in units of (a)", reference=1.0)
        console.print(f"picture: {args.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
