"""Draw a small data set, in seconds: `python tools/data/make_mini_data.py detection`.

The set has the format of a big one. The same settings give the same pixels and labels. A set that already exists is
left as it is.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from normreg_plugins.cli.data.mini_data import digit_folders, drawn_boxes, drawn_crowds, drawn_masks, yolo_layout
from normreg_plugins.cli.data.mini_data.recipe import make_once

KINDS = {kind.RECIPE.kind: kind for kind in (drawn_boxes, drawn_masks, yolo_layout, drawn_crowds, digit_folders)}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, kind in KINDS.items():
        recipe = kind.RECIPE
        options = kinds.add_parser(name, help=kind.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        add = options.add_argument
        add("--out", type=Path, default=Path("data/mini") / name, help="folder to make")
        add("--train", type=int, default=recipe.train, help="training images")
        add("--val", type=int, default=recipe.val, help="validation images")
        add("--size", type=int, default=recipe.size, help="image side in pixels")
        add("--seed", type=int, default=recipe.seed, help="another seed draws other images")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    kind = KINDS[args.kind]
    settings = {name: getattr(args, name) for name in ("train", "val", "size", "seed")}
    start = time.perf_counter()
    try:
        print(make_once(args.out, replace(kind.RECIPE, **settings), kind.draw))
    except (ValueError, OSError) as error:
        print(f"make_mini_data.py: {error}", file=sys.stderr)
        return 2
    print(f"{time.perf_counter() - start:.1f} s")
    return 0
