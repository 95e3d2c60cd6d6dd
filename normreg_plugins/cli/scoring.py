"""The arguments that eval-map, eval-miou and eval-mae share: names of the runs, the folder of results, pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

PICTURES = "pictures.png"


def scoring_parser(description: str | None, files: Sequence[str]) -> argparse.ArgumentParser:
    """With --out, which writes these files, --pictures and --best."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = options.add_argument
    add("--out", type=Path, help=f"folder for {', '.join(files)} and {PICTURES}")
    add("--pictures", type=int, default=0, metavar="N", help="draw the N images with the largest errors, to --out")
    add("--best", action="store_true", help="draw those with the smallest errors instead")
    return options


def add_runs(options: argparse.ArgumentParser, predictions: str) -> None:
    options.add_argument("predictions", type=Path, nargs="+", help=predictions)
    options.add_argument("--names", nargs="+", help="what to call them (default: their names without folders)")


def parse_scoring(
    options: argparse.ArgumentParser, argv: Sequence[str] | None, files: Sequence[str]
) -> argparse.Namespace:
    """The arguments, and the predictions by name in `args.runs`. Ends here if options are wrong, or a file exists."""
    args = options.parse_args(argv)
    if "names" in args:
        args.names = args.names or [path.name for path in args.predictions]
        if len(set(args.names)) != len(args.predictions):
            options.error(f"--names: need {len(args.predictions)} different names, got {args.names}")
        args.runs = dict(zip(args.names, args.predictions, strict=True))
    if args.pictures < 0 or (args.pictures and not args.out):
        options.error(f"--pictures {args.pictures}: must be 0 or more, and more than 0 needs --out")
    if args.out:
        for file in (*files, *([PICTURES] if args.pictures else [])):
            if (args.out / file).exists():
                options.error(f"{args.out / file} exists: choose another --out, or remove it")
    return args
