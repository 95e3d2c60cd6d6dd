"""Train a small net for very many updates with every method, and check that nothing grows, drifts or is miscounted.

Every update accumulates two batches under bfloat16 autocast and a GradScaler, with an average of the weights and a
monitor. A checkpoint is written every 100 updates, and every 1,000 the run goes on from it with a new optimizer.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from helpers.training import INVARIANT, lengths, loss_on, tiny_net
from torch.optim import SGD, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightDecay, WeightRescaling, attach
from normreg_plugins.core import Handle, Method
from normreg_plugins.core.methods import Hyperball
from normreg_plugins.files import atomic_path, write_json
from normreg_plugins.monitor import Monitor

METHODS: dict[str, Method] = {
    "WRS": WeightRescaling(interval=10),
    "WRS initial": WeightRescaling(interval=10, radius="initial"),
    "WRS(IC)": WeightRescaling(interval=10, per="position"),
    "AWS": AdaptiveWeightShrink(alpha=1e-2),
    "PGD": SphereDescent(),
    "Hyperball": Hyperball(),
    "WD": WeightDecay(),
}
CHECKPOINT, RESUME = 100, 1_000
OVERFLOW = 997
"""Every so many calls of the optimizer the gradients overflow, and the scaler skips the update."""
TOLERANCE = 1e-5
GROWTH = 30_000
"""How many KiB the memory may grow after the first tenth of the run."""


class Run:
    """One training, and what is wrong with it so far."""

    def __init__(self, method: Method, folder: Path) -> None:
        self.net, self.method, self.file = tiny_net(), method, folder / "checkpoint.pth"
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4, growth_interval=2**30)
        self.average = AveragedModel(self.net, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True)
        self.optimizer, self.handle = self.attached()
        self.start = {name: lengths(self.net, name) for name in self.handle.targets if name in INVARIANT}
        self.monitor = self.watched()
        self.faults: list[str] = []
        self.made, self.reports = 0, 0

    def attached(self) -> tuple[Optimizer, Handle]:
        optimizer = SGD(self.net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
        return optimizer, attach(optimizer, self.net, self.method)

    def watched(self) -> Monitor:
        return Monitor(self.optimizer, self.net, 50, sinks=[self.look])

    def look(self, report: Any) -> None:
        self.reports += 1
        first = report.update - report.since <= 50  # nothing to compare the statistics of norm layers with yet
        values = {key: value for key, value in report.scalars().items() if not (first and key.endswith("drift"))}
        bad = {key: value for key, value in values.items() if value is not None and not math.isfinite(value)}
        self.expect(not bad, f"statistics that are not finite: {bad}")

    def expect(self, holds: bool, fault: str) -> None:
        if not holds and len(self.faults) < 20:
            self.faults.append(f"update {self.made}: {fault}")

    def call(self, index: int) -> None:
        """One call of the optimizer, which is an update unless the gradients overflow."""
        self.optimizer.zero_grad()
        for part in range(2):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loss_on(self.net, (2 * index + part) % 512) / 2
            self.scaler.scale(loss).backward()
        overflows = index % OVERFLOW == OVERFLOW - 1
        if overflows:
            self.net[0].weight.grad[0] = torch.inf
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if overflows:
            self.scaler.update(2.0**4)
        else:
            self.made += 1
            self.average.update_parameters(self.net)
        if self.made % CHECKPOINT == 0 and not overflows:
            self.checkpoint()

    def checkpoint(self) -> None:
        self.check()
        with atomic_path(self.file) as unfinished:
            torch.save({"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}, unfinished)
        if self.made % RESUME == 0:
            self.monitor.detach()
            self.handle.detach()
            self.optimizer, self.handle = self.attached()
            saved = torch.load(self.file, weights_only=True)
            self.net.load_state_dict(saved["net"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.monitor = self.watched()

    def check(self) -> None:
        self.expect(self.handle.updates == self.made, f"the count is {self.handle.updates}")
        self.expect(all(p.isfinite().all() for p in self.net.parameters()), "weights that are not finite")
        if self.made % self.method.interval == 0:
            for name, norms in self.start.items():
                wanted = self.wanted(norms)
                error = 0.0 if wanted is None else float((lengths(self.net, name) / wanted - 1).abs().max())
                self.expect(error < TOLERANCE, f"{name}: filter norms are off by {error:.1e}")
        statistics = [b for m in (self.net, self.average) for b in m.buffers()]
        self.expect(all(b.isfinite().all() for b in statistics), "running statistics that are not finite")

    def wanted(self, start: torch.Tensor) -> torch.Tensor | float | None:
        """The filter norms that the method keeps exactly, if it does."""
        if getattr(self.method, "radius", None) == "initial":
            return start
        return self.method.filter_norm


def memory() -> int:
    """In KiB, now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def run(name: str, updates: int, folder: Path, say: Callable[[str], None] = print) -> dict[str, Any]:
    torch.set_num_threads(1)
    one, begun = Run(METHODS[name], folder), time.process_time()
    used: list[int] = []
    index = 0
    while one.made < updates:
        one.call(index)
        index += 1
        if one.made % max(1, updates // 10) == 0 and len(used) < 10 * one.made // updates:
            used.append(memory())
            say(f"{name}: {one.made} updates, {used[-1]} KiB, {len(one.faults)} faults")
    one.expect(used[-1] - used[0] < GROWTH, f"the memory grew by {used[-1] - used[0]} KiB")
    seconds = round(time.process_time() - begun, 1)
    found = {"updates": one.made, "calls": index, "reports": one.reports, "memory KiB": used, "CPU seconds": seconds}
    return {**found, "faults": one.faults}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=100_000, help="with each method (%(default)s)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, default=Path("work_dirs/campaigns/load"), help="(%(default)s)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {}
    for name in args.methods:
        report[name] = run(name, args.updates, args.out, lambda text: print(text, flush=True))
        write_json(args.out / "report.json", report)
    return int(any(found["faults"] for found in report.values()))


if __name__ == "__main__":
    sys.exit(main())
