#!/usr/bin/env python
"""Methods over rates and seeds, on any task: `python research/compare_methods.py detection --seeds 0 1`.

A comparison is a short file in configs/comparisons, or a file of yours. Each cell of its table is one training: a
method, a setting such as the number of pictures, a learning rate and a seed. First every method tries equally many
rates, and the validation score chooses one of them. Then the chosen rate runs with all seeds, and the test scores are
reported with a paired test.

A cell with a result is not trained again, so the command can be stopped and started at any time. Start it in several
terminals, on several machines that share the work dir, or in a Slurm array: each process takes cells that no other has.
If a process dies, the others take its cell up again.

The work dir gets NAME.json with all cells, NAME.md with the tables, and the pictures. Given such a JSON file in place
of a name, the command prints its tables and draws its pictures, and trains nothing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.files import write_json, write_text
from research.comparison.cells import Cell, Results
from research.comparison.description import Comparison, described, read_comparison
from research.comparison.figures import draw
from research.comparison.page import content_of, markdown, read_content, with_tables
from research.comparison.train_cell import train_cell
from research.comparison.work import results_so_far, work


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("comparison", help=f"one of {', '.join(described())}, a description (.py) or results (.json)")
    add("--methods", nargs="+", metavar="METHOD", help="train only these; the table shows all")
    add("--columns", nargs="+", metavar="COLUMN", help="train only these")
    add("--seeds", type=int, nargs="+", help="in place of those of the description; the first one chooses the rates")
    add("--work-dir", type=Path, help="default: work_dirs/compare_NAME")
    add("--out", type=Path, help="where tables and pictures go; default: the work dir")
    add("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE", help="settings of all cells to override")
    add("--page", type=Path, help="put the tables into this page, between its two comments for this comparison")
    add("--show", action="store_true", help="train nothing: the tables and pictures of what there is")
    return parser.parse_args(argv)


def key_values(given: list[str]) -> dict[str, Any]:
    """KEY=VALUE as settings. A value that is not JSON is text."""
    settings = {}
    for each in given:
        key, is_pair, value = each.partition("=")
        if not is_pair:
            raise NormRegError(f"--cfg-options {each}: write KEY=VALUE")
        try:
            settings[key] = json.loads(value)
        except json.JSONDecodeError:
            settings[key] = value
    return settings


def described_by(args: argparse.Namespace) -> Comparison:
    comparison = read_comparison(args.comparison)
    for option, known in (("methods", comparison.methods), ("columns", comparison.columns)):
        if unknown := sorted(set(getattr(args, option) or ()) - set(known)):
            raise NormRegError(f"--{option} {unknown[0]}: {comparison.name} has {', '.join(known)}")
    return comparison.with_settings(key_values(args.cfg_options)).with_seeds(args.seeds)


def train(args: argparse.Namespace, comparison: Comparison, folder: Path) -> tuple[Results, list[Cell]]:
    methods, columns = args.methods or comparison.methods, args.columns or comparison.columns

    def takes(cell: Cell) -> bool:
        return cell.method in methods and cell.column in columns

    failed = [] if args.show else work(comparison, folder, train_cell, takes)
    return results_so_far(comparison, folder), failed


def command_of(args: argparse.Namespace) -> str:
    """The command that makes the whole table."""
    command = ["python", "research/compare_methods.py", args.comparison]
    command += ["--seeds", *map(str, args.seeds)] if args.seeds else []
    command += ["--cfg-options", *args.cfg_options] if args.cfg_options else []
    return shlex.join(command)


def report(comparison: Comparison, found: Results, command: str, folder: Path, page: Path | None) -> None:
    text = markdown(comparison, found, command)
    write_json(folder / f"{comparison.name}.json", content_of(comparison, found, command))
    if page is None:
        write_text(folder / f"{comparison.name}.md", text)
    else:
        write_text(page, with_tables(page.read_text(), comparison.name, text))
    print(text)
    for picture in draw(comparison, found, folder):
        print(f"picture: {picture}")


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    failed: list[Cell] = []
    try:
        if args.comparison.endswith(".json"):
            comparison, found, command = read_content(Path(args.comparison))
            folder = Path(args.comparison).parent
        else:
            comparison = described_by(args)
            folder = args.work_dir or Path("work_dirs") / f"compare_{comparison.name}"
            found, failed = train(args, comparison, folder)
            command = command_of(args)
        report(comparison, found, command, args.out or folder, args.page)
    except NormRegError as error:
        print(f"compare_methods.py: {error}", file=sys.stderr)
        return 2
    for cell in failed:
        print(f"failed: {cell}; the next start tries it again", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
