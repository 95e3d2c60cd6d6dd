#!/usr/bin/env python
"""Change the code in one small place and run its tests: a change that no test notices is a survivor.

Cosmic Ray makes the changes; `make mutate` installs it beside the environment. A random sample of all changes is tried
on a copy of the package. Each is tried in a process that is forked from one that has imported torch and the hosts. The
tests that name what the changed file defines run first, and the first failure ends the trial. A change that passes them
all meets the slow tests too.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "normreg_plugins"
COPIED = (PACKAGE, "tests", "tools", "configs", "pyproject.toml")
FOR_THE_FORKS = ("torch._dynamo", "torchvision", "hypothesis", "scipy.optimize", "mmdet.models", "mmseg.models")
"""What tests import that does not import the package."""
ROOMS = {
    "core/methods": ["core/methods"],
    "core/training": ["core/training", "core/methods/test_initial_radius.py", "core/methods/test_methods.py"],
    "core/verdicts": ["core/verdicts", "core/methods/test_methods.py", "core/training/test_selection.py"],
    "crowd/losses": ["crowd/losses"],
}
"""For each room of the package, the tests that guard it."""
NEED_A_CAUSE = ("core/VariableInserter", "core/VariableReplacer")
"""Operators of Cosmic Ray that have to be told which variables to exchange."""
SLOW = ("test_distributed.py", "test_distributed_checkpoints.py", "test_compiled_steps.py")
"""Tests that start processes or compilers: only what the others let pass meets them."""


@dataclass(frozen=True)
class Mutant:
    room: str
    file: Path
    operator: str
    occurrence: int

    def code(self) -> str:
        return mutate_code((ROOT / self.file).read_text(), get_operator(self.operator)(), self.occurrence) or ""

    def diff(self) -> str:
        before, after = (text.splitlines() for text in ((ROOT / self.file).read_text(), self.code()))
        return "\n".join(unified_diff(before, after, str(self.file), self.operator, n=0, lineterm=""))

    def matters(self) -> bool:
        """Whether it is Python, and more than an annotation changes. Annotations are not evaluated."""
        try:
            changed = without_annotations(self.code())
        except SyntaxError:  # Cosmic Ray takes the stars of {**one, **other} for powers
            return False
        return changed != without_annotations((ROOT / self.file).read_text())


def without_annotations(code: str) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if hasattr(node, name):
                setattr(node, name, None)
    return ast.dump(tree)


def mutants(room: str) -> Iterator[Mutant]:
    """All changes that Cosmic Ray makes to a room."""
    named = {name: get_operator(name) for name in operator_names()}
    operators = {name: kind() for name, kind in named.items() if name not in NEED_A_CAUSE}
    for path in sorted((ROOT / PACKAGE / room).glob("*.py")):
        nodes = [] if path.name == "__init__.py" else list(ast_nodes(get_ast(path.read_text())))
        for name, operator in operators.items():
            places = sum(len(list(operator.mutation_positions(node))) for node in nodes)
            yield from (Mutant(room, path.relative_to(ROOT), name, occurrence) for occurrence in range(places))


def guards_of(room: str, changed: Path | None) -> tuple[list[str], list[str]]:
    """The quick and the slow test files of a room. Those that say most of what the changed file defines come first."""
    found = [ROOT / "tests" / name for name in ROOMS[room]]
    files = [file for path in found for file in (sorted(path.glob("test_*.py")) if path.is_dir() else [path])]
    if changed:
        defined = re.findall(r"^(?:def|class) (\w+)", (ROOT / changed).read_text(), re.MULTILINE)
        said = {file: file.read_text() for file in files}
        files.sort(key=lambda file: (file.stem != f"test_{changed.stem}", -sum(n in said[file] for n in defined)))
    names = [str(file.relative_to(ROOT)) for file in files]
    return [n for n in names if not n.endswith(SLOW)], [n for n in names if n.endswith(SLOW)]


class Trials:
    """Runs the tests of changes in a copy of the repository."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        for part in COPIED:
            copied = ROOT / part
            (shutil.copytree if copied.is_dir() else shutil.copy)(copied, copy / part)
        self.limits: dict[str, int] = {}
        """Seconds of the processor after which a change counts as noticed: it made an endless loop."""

    def try_unchanged(self, room: str) -> None:
        """Without a change all tests must pass."""
        begun = seconds_of_children()
        for tests in guards_of(room, None):
            if not self._pass(tests, limit=3600):
                raise RuntimeError(f"the tests of {room} fail without any change: run pytest {' '.join(tests)}")
        self.limits[room] = 20 + 3 * round(seconds_of_children() - begun)

    def survives(self, mutant: Mutant) -> bool:
        """Whether the tests pass with this change."""
        target = self.copy / mutant.file
        before = target.read_text()
        target.write_text(mutant.code())
        survived = all(self._pass(tests, self.limits[mutant.room]) for tests in guards_of(mutant.room, mutant.file))
        target.write_text(before)
        return survived

    def _pass(self, tests: list[str], limit: int) -> bool:
        if not tests:
            return True
        process = multiprocessing.get_context("fork").Process(target=run_tests, args=(tests, self.copy, limit))
        process.start()
        process.join()
        return process.exitcode == 0


def seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_tests(tests: list[str], copy: Path, limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    os.chdir(copy)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(copy), os.environ.get("PYTHONPATH", "")])
    sys.path[:0] = [str(copy), str(copy / "tests")]
    sys.dont_write_bytecode = True
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    options: Any = ["-x", "-q", "-p", "no:cacheprovider", *tests]
    os._exit(pytest.main(options))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=20, help="changes to try (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    args = parser.parse_args()
    sys.dont_write_bytecode = True
    for name in FOR_THE_FORKS:
        if find_spec(name.partition(".")[0]):
            importlib.import_module(name)
    every = [mutant for room in args.rooms for mutant in mutants(room)]
    random.Random(args.seed).shuffle(every)
    tried = survivors = 0
    with tempfile.TemporaryDirectory() as name:
        trials = Trials(Path(name))
        for room in args.rooms:
            trials.try_unchanged(room)
        for mutant in every:
            if tried == args.sample:
                break
            if not mutant.matters():
                continue
            begun = seconds_of_children()
            survived = trials.survives(mutant)
            tried += 1
            survivors += survived
            said = "SURVIVED" if survived else "noticed"
            print(f"{said} after {seconds_of_children() - begun:.0f} s\n{mutant.diff()}\n", flush=True)
    print(f"{tried} of {len(every)} changes tried, {survivors} survived")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
