"""Give bad input to everything that reads settings or files: it must be accepted, or refused with a named error.

A named error is one of this package or FileNotFoundError. If the input is a file, the message names it. No case may run
code out of a file, and none may change or remove the file.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings

from normreg_plugins.files import write_json
from research.campaigns.bad_input_targets import Target, targets

HEADROOM = 8 << 30
"""How many bytes a case may take beyond what the process has. A file that claims more must be refused."""


@dataclass
class Outcome:
    """What became of the cases of one target."""

    cases: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    found: dict[str, str] = field(default_factory=dict)
    """The first input for each kind of failure."""


class Attack:
    """Gives inputs to one target."""

    def __init__(self, target: Target, folder: Path, marker: Path) -> None:
        self.target, self.folder, self.marker = target, folder, marker
        self.outcome = Outcome()

    def case(self, value: Any) -> None:
        self.outcome.cases += 1
        path = None
        if isinstance(value, bytes):
            path = self.folder / (self.target.file or f"case{self.target.suffix}")
            path.write_bytes(value)
        said = io.StringIO()
        try:
            with warnings.catch_warnings(), contextlib.redirect_stderr(said):
                warnings.simplefilter("ignore")
                self.target.give(value if path is None else path)
            self.outcome.accepted += 1
        except (Exception, SystemExit) as error:
            self._judge(error, value, path, said.getvalue())
        if path is not None and (not path.is_file() or path.read_bytes() != value):
            self._find("the file was changed or removed", value)
        if self.marker.exists():
            self.marker.unlink()
            self._find("code of the file was run", value)

    def _judge(self, error: BaseException, value: Any, path: Path | None, said: str) -> None:
        message = said if isinstance(error, SystemExit) else str(error)
        ours = type(error).__module__.startswith("normreg_plugins.")
        if not (ours or isinstance(error, FileNotFoundError) or (isinstance(error, SystemExit) and error.code == 2)):
            frame = traceback.extract_tb(error.__traceback__)[-1]
            self._find(f"{type(error).__name__}: {str(error)[:80]} ({Path(frame.filename).name}:{frame.name})", value)
        elif path is not None and path.name not in message and str(path.parent) not in message:
            self._find(f"{type(error).__name__} does not name the file: {message[:80]}", value)
        else:
            self.outcome.refused[type(error).__name__] += 1

    def _find(self, what: str, value: Any) -> None:
        self.outcome.found.setdefault(what, repr(value)[:400])


def attack(target: Target, cases: int, start: int, folder: Path, marker: Path) -> Outcome:
    one = Attack(target, folder, marker)

    @seed(start)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def all_cases(value: Any) -> None:
        one.case(value)

    all_cases()
    return one.outcome


def run(cases: int, start: int, only: str = "") -> dict[str, Outcome]:
    """`cases` in all, divided among the targets whose name has `only` in it."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "cases"
        folder.mkdir()
        marker = Path(name) / "code was run"
        chosen = [target for target in targets(folder, marker) if only in target.name]
        each = -(-cases // len(chosen))
        return {target.name: attack(target, each, start, folder, marker) for target in chosen}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2_000, help="in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--only", default="", help="targets whose name has this in it")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/campaigns/bad_input.json"), help="(%(default)s)")
    args = parser.parse_args()
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + HEADROOM, resource.RLIM_INFINITY))
    outcomes = run(args.cases, args.seed, args.only)
    for name, outcome in outcomes.items():
        print(f"{name}: {outcome.cases} cases, {outcome.accepted} accepted, {sum(outcome.refused.values())} refused")
        for what, example in outcome.found.items():
            print(f"  FOUND {what}\n    {example}")
    write_json(args.out, {name: vars(outcome) for name, outcome in outcomes.items()})
    print(f"{sum(o.cases for o in outcomes.values())} cases, {sum(len(o.found) for o in outcomes.values())} reports")
    return int(any(outcome.found for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
