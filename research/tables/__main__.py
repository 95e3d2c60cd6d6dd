"""What a paper claims, on small nets, in minutes: `python -m research.tables wrs`, or `... wrs shapes` for one study.

It prints a table for each study, and saves the numbers of all runs and the figures.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from normreg_plugins.files import write_json
from normreg_plugins.plots import new_figure, save
from research.tables import aws, l2, wrs
from research.tables.study import Study, side_by_side

PAPERS: dict[str, dict[str, Study]] = {"wrs": wrs.STUDIES, "l2": l2.STUDIES, "aws": aws.STUDIES}


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    console = Console()
    for name in args.studies:
        study, out = PAPERS[args.paper][name], args.out / f"{args.paper}_{name}"
        runs = study.runs(args.seeds, max(1, round(study.updates * args.length)))
        results = side_by_side(study.train, runs, args.workers, name)
        console.print(study.table(results))
        write_json(out.with_suffix(".json"), [{**asdict(run), **asdict(found)} for run, found in results.items()])
        if study.draw is not None:
            figure = new_figure(6, 5)
            study.draw(results, figure.subplots())
            save(figure, out.with_suffix(".png"))
        console.print(f"saved in {out}.*", soft_wrap=True)
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("paper", choices=PAPERS)
    add("studies", nargs="*", help="; ".join(f"{paper}: {', '.join(studies)}" for paper, studies in PAPERS.items()))
    add("--seeds", type=int, default=3, help="trainings of each setting")
    add("--length", type=float, default=1.0, help="0.5: half as many updates")
    add("--workers", type=int, default=min(8, os.cpu_count() or 1), help="trainings at a time, a thread each")
    add("--out", type=Path, default=Path("work_dirs/tables"), help="folder for figures and numbers")
    args = parser.parse_args(argv)
    args.studies = args.studies or [*PAPERS[args.paper]]
    if unknown := [name for name in args.studies if name not in PAPERS[args.paper]]:
        parser.error(f"unknown study {', '.join(unknown)}: choose from {', '.join(PAPERS[args.paper])}")
    for option in ("seeds", "workers", "length"):
        if not getattr(args, option) > 0:
            parser.error(f"--{option} {getattr(args, option)}: must be above 0")
    return args


if __name__ == "__main__":
    sys.exit(main())
