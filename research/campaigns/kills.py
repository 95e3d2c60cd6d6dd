"""Kill runs at random moments, start them again until they end, and compare what they made with an unbroken run.

A run is ended by SIGKILL or SIGTERM, or it meets a full disk, a limit on the size of its files, or a folder that it may
not write to, and then gets room again. After each end every checkpoint must be complete, and `last_checkpoint` must
name one that exists. A restarted run loses no more than its work since the last checkpoint. After one to five such ends
it is left alone, so that it finishes. Signals come at moments of the run's own CPU time, so that they spread over the
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
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # optimizers import it when they are made; so no fork has to

from normreg_plugins.files import write_json
from research.campaigns.victims import VICTIMS, Victim

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM}
NAMED = re.compile(r"Errno|PytorchStreamWriter|inline_container|iostream|No space|File too large|Read-only")
"""What an error of a disk says."""
LOG = 8_000
"""Bytes of a process's log. A limit on the size of its files applies to the log too."""
MOST = 5
"""How often a run is stopped at most, before it is left alone."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Tally:
    """What happened to one victim."""

    ends: Counter[str] = field(default_factory=Counter)
    """How its processes ended, and how many reached the end."""
    finished: int = 0
    found: list[str] = field(default_factory=list)


class Campaign:
    """Ends the processes of one victim."""

    def __init__(self, victim: Victim, folder: Path, chance: random.Random, ways: list[str]) -> None:
        self.victim, self.folder, self.chance, self.ways = victim, folder, chance, ways
        self.tally = Tally()
        victim.make(folder / "made")
        self.seconds, self.unbroken = self._unbroken(folder / "unbroken")

    def _unbroken(self, folder: Path) -> tuple[float, dict[str, Any]]:
        """The processor time and the result of a run that nobody stops."""
        folder.mkdir()
        process = self._start(folder)
        seconds = process.used_until(math.inf)
        if (code := process.wait()) != 0:
            raise RuntimeError(f"the unbroken run ended with {code}: {(folder.parent / 'log').read_text()[-3000:]}")
        return seconds, self.victim.result(folder)

    def _start(self, folder: Path, size: int = 0) -> Process:
        return Process(self.victim, folder, size)

    def one_run(self, stops: int) -> None:
        """Start a run again and again until it reaches its end; leave it alone after so many stops."""
        folder = self.folder / "killed"
        for way in [*self.chance.choices(self.ways, k=stops), ""]:
            folder.mkdir(exist_ok=True)
            with self._obstacle(way, folder) as process:
                if way in SIGNALS:
                    process.end_after(self.chance.uniform(0, self.seconds), SIGNALS[way])
                code = process.wait()
            if code == 0:
                self._compare(folder)
                break
            if not way:
                self.tally.found.append(f"a run that nobody stopped ended with {code}: {process.said()}")
                break
            if way not in SIGNALS and not NAMED.search(process.said()):
                self.tally.found.append(f"{way}: no error that names it: {process.said()}")
            self.tally.ends[way] += 1
            self._look(folder, way)
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _obstacle(self, way: str, folder: Path) -> Iterator[Process]:
        """Start the process with what will stop it, if that is no signal; take the obstacle away at the end."""
        if way == "full disk":
            with mounted(folder, self.chance.randint(16, 600)):
                yield self._start(folder)
        elif way == "file size":
            yield self._start(folder, self.chance.randint(LOG, 60_000))
        elif way == "read-only":
            with read_only(folder):
                yield self._start(folder)
        else:
            yield self._start(folder)

    def _look(self, folder: Path, way: str) -> None:
        """Every checkpoint is complete, and the last one exists."""
        for pattern in self.victim.checkpoints:
            for path in folder.glob(pattern):
                if not path.name.startswith(".unfinished") and not is_complete(path):
                    self.tally.found.append(f"{way}: {path.relative_to(folder)} is torn ({path.stat().st_size} bytes)")
        for last in folder.rglob("last_checkpoint"):
            if not Path(last.read_text()).is_file():
                self.tally.found.append(f"{way}: last_checkpoint names {last.read_text()!r}, which is not there")

    def _compare(self, folder: Path) -> None:
        self.tally.finished += 1
        made = self.victim.result(folder)
        if made.keys() != self.unbroken.keys():
            self.tally.found.append(f"other results: {sorted(made.keys() ^ self.unbroken.keys())[:5]}")
        other = [key for key in made.keys() & self.unbroken.keys() if not same(made[key], self.unbroken[key])]
        if other:
            self.tally.found.append(f"{len(other)} of {len(made)} results differ from the unbroken run: {other[:3]}")


class Process:
    """A fork of this process that runs the victim in a folder."""

    def __init__(self, victim: Victim, folder: Path, size: int) -> None:
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


@contextmanager
def mounted(folder: Path, kib: int) -> Iterator[None]:
    """A file system of this size instead of the folder, with what is in it. What is on it in the end is saved."""
    beside = folder.with_name("mounted")
    shutil.copytree(folder, beside)
    used = sum(path.stat().st_size + 4096 for path in folder.rglob("*")) // 1024
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={used + kib}k", "tmpfs", folder], check=True)
    try:
        shutil.copytree(beside, folder, dirs_exist_ok=True)
        shutil.rmtree(beside)
        yield
        shutil.copytree(folder, beside)
    finally:
        subprocess.run(["umount", folder], check=True)
    shutil.rmtree(folder)
    beside.rename(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder as nobody may write to it, root included."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def can_mount() -> bool:
    with tempfile.TemporaryDirectory() as name:
        try:
            (Path(name) / "full").mkdir()
            with mounted(Path(name) / "full", 64), read_only(Path(name)):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def is_complete(path: Path) -> bool:
    if path.suffix == ".json":
        return path.read_text().endswith("\n")
    return zipfile.is_zipfile(path) and zipfile.ZipFile(path).testzip() is None


def same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if torch.is_tensor(one) else bool(one == other)


def ways() -> list[str]:
    """How runs can be stopped on this machine: to fill a disk or close a folder, one must be allowed to mount."""
    return [*SIGNALS, "file size", *(["full disk", "read-only"] if can_mount() else [])]


def run(name: str, kills: int, ends: int, seed: int, chosen: list[str]) -> Iterator[Tally]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        campaign = Campaign(VICTIMS[name], Path(folder), random.Random(seed), chosen)
        tally = campaign.tally
        while (sum(tally.ends.values()) < kills or tally.finished < ends) and len(tally.found) < 5:
            campaign.one_run(campaign.chance.randint(1, MOST))
            yield tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="of each kind of run, at least (%(default)s)")
    parser.add_argument("--ends", type=int, default=10, help="runs of each kind that reach their end (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--runs", nargs="+", choices=VICTIMS, default=list(VICTIMS), help="which kinds")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/campaigns/kills.json"), help="(%(default)s)")
    args = parser.parse_args()
    report = json.loads(args.out.read_text()) if args.out.is_file() else {}
    chosen = ways()
    for name in args.runs:
        for tally in run(name, args.kills, args.ends, args.seed, chosen):
            report[name] = {"ends": tally.ends, "finished": tally.finished, "found": tally.found}
            write_json(args.out, report)
        print(f"{name}: ended by {dict(tally.ends)}; {tally.finished} reached the end", flush=True)
        for found in tally.found:
            print(f"  FOUND {found}", flush=True)
    return int(any(each["found"] for each in report.values()))


if __name__ == "__main__":
    sys.exit(main())
