"""What the methods, layers and losses cost, as ratios of times measured side by side in one run.

python -m research.benchmarks.step passes             # one pass, its share of a step, the monitor's share
python -m research.benchmarks.step layers             # WN, CWN, WS beside timm's and torch's layers
python -m research.benchmarks.step bayesian_loss      # beside the published dense form
python -m research.benchmarks.step training configs/mini/yolov3_wd.py configs/mini/yolov3_wrs.py
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

import torch

from normreg_plugins.cli.console import wide_console
from research.benchmarks.timing import at_least

PARTS = ("passes", "layers", "bayesian_loss", "training")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("part", choices=PARTS, help="`PART --help` lists its options")
    part = importlib.import_module(f"research.benchmarks.{command.parse_args(arguments[:1]).part}")
    parser = argparse.ArgumentParser(prog=f"step {arguments[0]}", description=part.__doc__)
    parser.add_argument("--threads", type=at_least(1), default=1, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=at_least(2), default=part.ROUNDS, help="(default: %(default)s)")
    part.add_options(parser)
    args = parser.parse_args(arguments[1:])
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    console = wide_console()
    console.print(f"torch {torch.__version__.split('+')[0]}, {args.threads} threads")
    for table in part.tables(args):
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
