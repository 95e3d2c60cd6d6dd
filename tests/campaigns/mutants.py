#!/usr/bin/env python
"""Change the code in one small place and run its tests: a change that no test notices is a survivor.

Cosmic Ray makes the changes (`pip install -e '.[campaigns]'`). A random sample of all of them is tried on a copy of the
package. Each is tried in a process that is forked from one that has imported torch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: F401  (for the forks)
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "normreg_plugins"
ROOMS = {
    "core/methods": ["core/methods"],
    "core/training": ["core/training", "core/methods/test_initial_radius.py", "core/methods/test_methods.py"],
    "core/verdicts": ["core/verdicts", "core/methods/test_methods.py", "core/training/test_selection.py"],
    "crowd/losses": ["crowd/losses"],
}
"""For each room of the package, the tests that guard it."""
NEED_A_CAUSE = ("core/VariableInserter", "core/VariableReplacer")
"""Operators of Cosmic Ray that have to be told which variables to exchange."""
LEFT_OUT = ("test_distributed.py", "test_distributed_checkpoints.py", "test_compiled_steps.py")
"""Tests that start processes or compilers, which takes longer than a sample of changes may."""
LIMIT = 600
"""Seconds after which a change counts as noticed: it made an endless loop."""


@dataclass(frozen=True)
class Mutant:
    file: Path
    operator: str
    occurrence: int

    def code(self) -> str:
        return mutate_code((ROOT / self.file).read_text(), get_operator(self.operator)(), self.occurrence) or ""

    def diff(self) -> str:
        before, after = (text.splitlines() for text in ((ROOT / self.file).read_text(), self.code()))
        return "\n".join(unified_diff(before, after, str(self.file), self.operator, n=0, lineterm=""))


def mutants(room: str) -> Iterator[Mutant]:
    """All changes that Cosmic Ray makes to a room."""
    named = {name: get_operator(name) for name in operator_names()}
    operators = {name: kind() for name, kind in named.items() if name not in NEED_A_CAUSE}
    for path in sorted((ROOT / PACKAGE / room).glob("*.py")):
        nodes = [] if path.name == "__init__.py" else list(ast_nodes(get_ast(path.read_text())))
        for name, operator in operators.items():
            places = sum(len(list(operator.mutation_positions(node))) for node in nodes)
            yield from (Mutant(path.relative_to(ROOT), name, occurrence) for occurrence in range(places))


def survives(mutant: Mutant | None, tests: list[str], copy: Path) -> bool:
    """Whether the tests pass with this change, or without any."""
    target = None if mutant is None else copy / mutant.file
    before = target.read_text() if target else ""
    if target and mutant:
        target.write_text(mutant.code())
    process = multiprocessing.get_context("fork").Process(target=run_tests, args=(tests, copy))
    process.start()
    process.join(LIMIT)
    if process.exitcode is None:
        process.kill()
        process.join()
    if target:
        target.write_text(before)
    return process.exitcode == 0


def run_tests(tests: list[str], copy: Path) -> None:
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.path[:0] = [str(copy), str(copy / "tests")]
    sys.dont_write_bytecode = True
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    ignored = [f"--deselect=tests/core/training/{name}" for name in LEFT_OUT]
    options: Any = ["-x", "-q", "-p", "no:cacheprovider", *ignored, *(f"tests/{test}" for test in tests)]
    os._exit(pytest.main(options))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=20, help="changes to try (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    args = parser.parse_args()
    sys.dont_write_bytecode = True
    every = [(room, mutant) for room in args.rooms for mutant in mutants(room)]
    sample = random.Random(args.seed).sample(every, min(args.sample, len(every)))
    survivors = 0
    with tempfile.TemporaryDirectory() as name:
        for part in (PACKAGE, "tests", "tools", "configs", "pyproject.toml"):
            copied = ROOT / part
            (shutil.copytree if copied.is_dir() else shutil.copy)(copied, Path(name) / part)
        for room, mutant in sample:
            survived = survives(mutant, ROOMS[room], Path(name))
            survivors += survived
            print(f"{'SURVIVED' if survived else 'noticed'}\n{mutant.diff()}\n", flush=True)
    print(f"{len(sample)} of {len(every)} changes tried, {survivors} survived")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
