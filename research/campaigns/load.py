"""Train a small net for very many updates with every method, and check that nothing grows, drifts or is miscounted.

Every update accumulates two batches under bfloat16 autocast and a GradScaler, which skips an update now and then. A
checkpoint is written every 100 updates, and every 1,000 the run goes on from it with a new optimizer.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path

import torch
from helpers.training import INVARIANT, lengths, loss_on, tiny_net
from torch.optim import SGD, Optimizer

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightDecay, WeightRescaling, attach
from normreg_plugins.core import Handle, Method
from normreg_plugins.core.methods import Hyperball
from normreg_plugins.files import atomic_path

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
        self.optimizer, self.handle = self.attached()
        self.start = {name: lengths(self.net, name) for name in self.handle.targets if name in INVARIANT}
        self.faults: list[str] = []
        self.made = 0

    def attached(self) -> tuple[Optimizer, Handle]:
        optimizer = SGD(self.net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
        return optimizer, attach(optimizer, self.net, self.method)

    def expect(self, true: bool, fault: str) -> None:
        if not true and len(self.faults) < 20:
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
        self.scaler.update(2.0**4)
        self.made += not overflows
        if self.made % CHECKPOINT == 0 and not overflows:
            self.checkpoint()

    def checkpoint(self) -> None:
        self.check()
        with atomic_path(self.file) as unfinished:
            torch.save({"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}, unfinished)
        if self.made % RESUME == 0:
            self.handle.detach()
            self.optimizer, self.handle = self.attached()
            saved = torch.load(self.file, weights_only=True)
            self.net.load_state_dict(saved["net"])
            self.optimizer.load_state_dict(saved["optimizer"])

    def check(self) -> None:
        self.expect(self.handle.updates == self.made, f"the count is {self.handle.updates}")
        values = [*self.net.parameters(), *self.net.buffers()]
        self.expect(all(value.isfinite().all() for value in values), "weights or statistics that are not finite")
        initial = getattr(self.method, "radius", None) == "initial"
        for name, norms in self.start.items():
            wanted = norms if initial else self.method.filter_norm
            error = 0.0 if wanted is None else float((lengths(self.net, name) / wanted - 1).abs().max())
            self.expect(error < TOLERANCE, f"{name}: filter norms are off by {error:.1e}")


def memory() -> int:
    """In KiB, now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def run(name: str, updates: int) -> list[str]:
    """The faults of a run with so many updates."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        one, index, warm = Run(METHODS[name], Path(folder)), 0, 0
        while one.made < updates:
            one.call(index)
            index += 1
            if not warm and one.made >= updates // 10:
                warm = memory()
    one.expect(memory() - warm < GROWTH, f"the memory grew by {memory() - warm} KiB")
    return one.faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=100_000, help="with each method (%(default)s)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    args = parser.parse_args()
    faults = {name: run(name, args.updates) for name in args.methods}
    for name, found in faults.items():
        print(f"{name}: {args.updates} updates, {len(found)} faults", *found, sep="\n  ")
    return int(any(faults.values()))


if __name__ == "__main__":
    sys.exit(main())
