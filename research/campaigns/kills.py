"""Kill runs at random moments, start them again until they end, and compare what they made with an unbroken run.

A run is ended by SIGKILL or SIGTERM, or meets a limit on the size of its files, as a full disk is one. After each end
every checkpoint must be complete, and `last_checkpoint` must name one that exists. After one to five such ends a run is
left alone, so that it finishes. Signals come at moments of the run's own processor time, so that they spread over the
run on a busy machine too. Processes are forked from one that has imported everything, which saves the imports.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # optimizers import it when they are made; so no fork has to
from helpers.mm_toy import loader
from helpers.mm_toy import train as train_mm
from helpers.training import tiny_net, train
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.files import atomic_path
from research.compare.description import Comparison
from research.compare.train_cell import train_cell, work

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM}
WAYS = (*SIGNALS, "file size")
NAMED = re.compile(r"Errno|PytorchStreamWriter|inline_container|iostream|No space|File too large")
"""What an error of a disk says."""
LOG = 8_000
"""Bytes of a process's log. A limit on the size of its files applies to the log too."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Victim:
    """A run that begins in an empty folder or resumes there, what it made, and files that are always complete."""

    run: Callable[[Path], Any]
    result: Callable[[Path], dict[str, Any]]
    checkpoints: tuple[str, ...]


def plain(folder: Path) -> None:
    """60 updates in a plain loop."""
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    handle = attach(optimizer, net, WeightRescaling(interval=4, radius="initial", decay_on="all"))
    file = folder / "checkpoint.pth"
    if file.is_file():
        saved = torch.load(file, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
    while handle.updates < 60:
        train(net, optimizer, 3, first=handle.updates)
        with atomic_path(file) as unfinished:
            torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, unfinished)


def mm(folder: Path) -> None:
    """30 iterations in epochs of 6, with a validation after each."""
    checkpoint = {"type": "NormRegCheckpointHook", "interval": 1, "random_states": True, "max_keep_ckpts": 2}
    train_mm(
        folder,
        {"type": "WRS", "interval": 4},
        train_dataloader=loader(shuffle=True),
        train_cfg={"by_epoch": True, "max_epochs": 5, "val_interval": 1},
        val_dataloader=loader(),
        val_cfg={"type": "ValLoop"},
        val_evaluator={"type": "MeanScore"},
        default_hooks={"checkpoint": checkpoint},
        resume=True,
    )


def comparison(folder: Path) -> None:
    """Two cells of a comparison, of two epochs each."""
    base = {"data": "digits", "net": "cnn8", "pictures": 40, "batch": 20, "epochs": 2, "validated": 20, "tested": 40}
    methods = {"WRS": {"method": {"type": "WRS"}}}
    table = Comparison("killed", "t", "cifar", methods, {"accuracy %": "accuracy"}, base, seeds=(0, 1))
    if work(table, folder, train_cell):
        raise RuntimeError("a cell failed")


def tensors(name: str) -> Callable[[Path], dict[str, Any]]:
    """The weights and the optimizer of a checkpoint."""

    def read(folder: Path) -> dict[str, Any]:
        saved = torch.load(folder / name, weights_only=False)
        return flat({key: saved[key] for key in ("net", "state_dict", "optimizer") if key in saved})

    return read


def flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: leaf for part, inner in items for key, leaf in flat(inner, f"{name}/{part}").items()}
    return {name: value}


def scores(folder: Path) -> dict[str, Any]:
    return {path.parent.name: json.loads(path.read_text())["test"] for path in folder.glob("*/result.json")}


VICTIMS = {
    "plain": Victim(plain, tensors("checkpoint.pth"), ("checkpoint.pth",)),
    "mm": Victim(mm, tensors("epoch_5.pth"), ("*.pth",)),
    "comparison": Victim(comparison, scores, ("*/result.json",)),
}


class Campaign:
    """Ends the processes of one victim."""

    def __init__(self, victim: Victim, folder: Path, chance: random.Random) -> None:
        self.victim, self.folder, self.chance = victim, folder, chance
        self.ends: Counter[str] = Counter()
        self.finished = 0
        self.found: list[str] = []
        (folder / "unbroken").mkdir()
        process = Process(victim, folder / "unbroken")
        self.seconds = process.used_until(math.inf)
        if (code := process.wait()) != 0:
            raise RuntimeError(f"the unbroken run ended with {code}: {process.said()}")
        self.unbroken = victim.result(folder / "unbroken")

    def one_run(self, ways: list[str]) -> None:
        """End a run in each of these ways, one after the other, then leave it alone."""
        folder = self.folder / "killed"
        folder.mkdir()
        for way in [*ways, ""]:
            process = Process(self.victim, folder, self.chance.randint(LOG, 60_000) if way == "file size" else 0)
            if way in SIGNALS:
                process.end_after(self.chance.uniform(0, self.seconds), SIGNALS[way])
            code = process.wait()
            if code == 0:
                self._compare(folder)
                break
            if not way:
                self.found.append(f"a run that nobody stopped ended with {code}: {process.said()}")
            elif way not in SIGNALS and not NAMED.search(process.said()):
                self.found.append(f"{way}: no error that names it: {process.said()}")
            self.ends[way] += 1
            self._look(folder, way)
        shutil.rmtree(folder)

    def _look(self, folder: Path, way: str) -> None:
        """Every checkpoint is complete, and the last one exists."""
        for path in (path for pattern in self.victim.checkpoints for path in folder.glob(pattern)):
            if not path.name.startswith(".unfinished") and not is_complete(path):
                self.found.append(f"{way}: {path.relative_to(folder)} is torn ({path.stat().st_size} bytes)")
        for last in folder.rglob("last_checkpoint"):
            if not Path(last.read_text()).is_file():
                self.found.append(f"{way}: last_checkpoint names {last.read_text()!r}, which is not there")

    def _compare(self, folder: Path) -> None:
        self.finished += 1
        made, wanted = self.victim.result(folder), self.unbroken
        if made.keys() != wanted.keys():
            self.found.append(f"other results: {sorted(made.keys() ^ wanted.keys())[:5]}")
        if other := [key for key in made.keys() & wanted.keys() if not same(made[key], wanted[key])]:
            self.found.append(f"{len(other)} of {len(made)} results differ from the unbroken run: {other[:3]}")


class Process:
    """A fork of this process that runs the victim in a folder."""

    def __init__(self, victim: Victim, folder: Path, size: int = 0) -> None:
        self.log = folder.parent / "log"
        context = multiprocessing.get_context("fork")
        self._process: Any = context.Process(target=in_child, args=(victim, folder, self.log, size))
        self._process.start()

    def used_until(self, seconds: float) -> float:
        """Wait until it has used so much processor time or has ended; how much it has used."""
        used = 0.0
        while used < seconds and self._process.exitcode is None:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            used = (int(fields[11]) + int(fields[12])) / TICKS
            time.sleep(0.003)
        return used

    def end_after(self, seconds: float, how: signal.Signals) -> None:
        self.used_until(seconds)
        if self._process.exitcode is None:
            os.kill(self._process.pid, how)

    def wait(self) -> int:
        self._process.join()
        return int(self._process.exitcode)

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-700:]


def in_child(victim: Victim, folder: Path, log: Path, size: int) -> None:
    """Run the victim; what it prints goes to a file."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    os.chdir(folder.parent)
    if size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        victim.run(folder)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def is_complete(path: Path) -> bool:
    if path.suffix == ".json":
        return path.read_text().endswith("\n")
    return zipfile.is_zipfile(path) and zipfile.ZipFile(path).testzip() is None


def same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if torch.is_tensor(one) else bool(one == other)


def run(name: str, kills: int, seed: int) -> Campaign:
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(VICTIMS[name], Path(folder), random.Random(seed))
        while (campaign.ends.total() < kills or not campaign.finished) and len(campaign.found) < 5:
            campaign.one_run(campaign.chance.choices(WAYS, k=campaign.chance.randint(1, 5)))
        return campaign


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="of each kind of run, at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--runs", nargs="+", choices=VICTIMS, default=list(VICTIMS), help="which kinds")
    args = parser.parse_args()
    found = 0
    for name in args.runs:
        campaign = run(name, args.kills, args.seed)
        print(f"{name}: ended by {dict(campaign.ends)}; {campaign.finished} reached the end", flush=True)
        for fault in campaign.found:
            print(f"  FOUND {fault}", flush=True)
        found += len(campaign.found)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
