"""Compare methods over rates and seeds: `python -m research.compare NAME`.

A comparison is a short file in research/compare/descriptions, or a file of yours. Each cell of its table is one
training: a method, a column such as the number of pictures, a learning rate and a seed. First every method tries
equally many rates, and the validation score chooses one. Then the chosen rate runs with all seeds, and the test scores
are reported with a paired test.

A cell with a result is not trained again, so the command can be stopped and started at any time. To share the work,
start `--part 1/4` to `--part 4/4` in four terminals, on four machines with one work dir, or in a Slurm array. A part
only trains. When all parts are done, the command without `--part` writes NAME.json with all cells, NAME.md with the
tables, and the pictures. Given such a JSON file instead of a name, it trains nothing.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.files import write_json, write_text
from research.compare.cells import Results, results_so_far
from research.compare.description import Comparison, described, read_comparison
from research.compare.figures import draw
from research.compare.page import content_of, markdown, read_content, with_tables
from research.compare.train_cell import part_of, train_cell, work


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m research.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("comparison", help=f"one of {', '.join(described())}, a description (.py) or results (.json)")
    add(
        "--small", action="store_true", help="at the size for two CPU cores that the description has beside the paper's"
    )
    add("--part", metavar="i/n", help="train only the i-th of n parts, and write no page")
    add("--seeds", type=int, nargs="+", help="instead of those of the description; the first one chooses the rates")
    add("--out", type=Path, help="folder for NAME.json; default: work_dirs/compare_NAME, where the cells are")
    add("--page", type=Path, help="put the tables into this page, between its two comments; pictures go beside it")
    add("--page-only", action="store_true", help="train nothing: write the tables and pictures of what there is")
    return parser.parse_args(argv)


def command_of(args: argparse.Namespace) -> str:
    """The command that makes the full table."""
    command = ["python", "-m", "research.compare", args.comparison]
    command += ["--small"] if args.small else []
    command += ["--seeds", *map(str, args.seeds)] if args.seeds else []
    return shlex.join(command)


def report(comparison: Comparison, found: Results, command: str, out: Path, page: Path | None) -> None:
    text = markdown(comparison, found, command)
    write_json(out / f"{comparison.name}.json", content_of(comparison, found, command))
    if page is None:
        write_text(out / f"{comparison.name}.md", text)
    else:
        write_text(page, with_tables(page.read_text(), comparison.name, text))
    print(text)
    for picture in draw(comparison, found, page.parent if page else out):
        print(f"picture: {picture}")


def run(args: argparse.Namespace) -> int:
    if args.comparison.endswith(".json"):
        comparison, found, command = read_content(Path(args.comparison))
        report(comparison, found, command, args.out or Path("work_dirs") / f"compare_{comparison.name}", args.page)
        return 0
    comparison = read_comparison(args.comparison, args.small).with_seeds(args.seeds)
    folder = Path("work_dirs") / f"compare_{comparison.name}"
    groups = part_of(comparison.groups, args.part) if args.part else comparison.groups
    failed = [] if args.page_only else work(comparison, folder, train_cell, groups)
    for cell in failed:
        print(f"failed: {cell}; the next start tries it again", file=sys.stderr)
    if args.part and not args.page_only:
        print(f"part {args.part} is done; when all are, the same command without --part writes the page")
    else:
        report(comparison, results_so_far(comparison, folder), command_of(args), args.out or folder, args.page)
    return 1 if failed else 0


def main(argv: list[str] | None = None) -> int:
    try:
        return run(parse_args(argv))
    except NormRegError as error:
        print(f"research.compare: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
