"""The best rate of each weight decay, and its power of the decay (L2 paper, Fig. 4): of the results of l2_figure_1.

    python -m research.tables.l2.best_rates work_dirs/compare_l2_figure_1_small/l2_figure_1_small.json

The rate is best on validation, for each seed. At the equilibrium of Table 1 an effective rate stays the same along
rate ~ 1 / decay under SGD and Nesterov momentum, and rate ~ 1 / sqrt(decay) under RMSprop and Adam (Section 6).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from research.compare.cells import Cell, Results
from research.compare.description import Comparison
from research.compare.page import read_content, table
from research.tables.l2.laws import LAWS
from research.tables.study import Row, mean_and_error, powers, where


def best_rates(comparison: Comparison, found: Results, column: str) -> list[Row]:
    """By weight decay and seed, the rate with the best validation score, as the optimizer took it."""
    times = comparison.columns[column].get("rate_times", 1.0)
    rows = []
    for method, settings in comparison.methods.items():
        for seed in comparison.seeds:
            runs = {rate: found.get(Cell(method, column, rate, seed)) for rate in comparison.rates_for(method)}
            scores = {rate: run.validation for rate, run in runs.items() if run and run.validation is not None}
            rate = max(scores, key=lambda rate: scores[rate])
            rows.append({"decay": settings["weight_decay"], "seed": seed, "rate": times * rate})
    return rows


def shown(comparison: Comparison, found: Results) -> str:
    decays = [settings["weight_decay"] for settings in comparison.methods.values()]
    lines = []
    for column in comparison.columns:
        rows = best_rates(comparison, found, column)
        means = [statistics.geometric_mean(row["rate"] for row in where(rows, decay=decay)) for decay in decays]
        power = mean_and_error(powers(rows, lambda row: row["decay"], lambda row: row["rate"]), digits=2)
        law = f"{LAWS[column.lower()].best_rate_exponent():g}" if column.lower() in LAWS else ""
        lines.append([column, *(f"{mean:.2g}" for mean in means), power, law])
    return table(["", *(f"decay {decay:g}" for decay in decays), "power", "by the law"], lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the JSON file of l2_figure_1")
    comparison, found, _ = read_content(parser.parse_args(argv).results)
    print(shown(comparison, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
