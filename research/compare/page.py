"""A comparison as Markdown, and as the JSON file that holds all its cells."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from research.compare.cells import Cell, Result, Results, chosen_rate
from research.compare.description import Comparison, ComparisonError
from research.compare.scores import (
    NOT_RUN,
    against_baseline,
    paired,
    paired_scores,
    scores_of,
    shown,
)


def content_of(comparison: Comparison, found: Results, command: str) -> dict[str, Any]:
    """All that a table is made from, as JSON."""
    cells = [{**asdict(cell), **asdict(result)} for cell, result in found.items()]
    return {"comparison": asdict(comparison), "command": command, "cells": cells}


def read_content(path: Path) -> tuple[Comparison, Results, str]:
    content = json.loads(path.read_text())
    names = ("method", "column", "rate", "seed")
    found = {
        Cell(**{name: cell[name] for name in names}): Result(**{k: v for k, v in cell.items() if k not in names})
        for cell in content["cells"]
    }
    return Comparison(**content["comparison"]), found, content["command"]


def markdown(comparison: Comparison, found: Results, command: str) -> str:
    """The tables of a comparison, and what they were made with."""
    parts = [_score_table(comparison, found)]
    if not comparison.is_grid:  # a picture has all rates of a grid
        compared = itertools.product(comparison.every_rate, comparison.scores)
        parts += [_rate_table(comparison, found, column, title) for column, title in compared]
    return "\n\n".join([*parts, _made_with(comparison, found, command)]) + "\n"


def with_tables(page: str, name: str, tables: str) -> str:
    """The page with these tables between the comments that begin and end those of the comparison."""
    begin, end = f"<!-- tables of {name} -->\n", f"<!-- end of {name} -->\n"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ComparisonError(f"the page needs the lines {begin.strip()} and {end.strip()} once each")
    before, rest = page.split(begin)
    return f"{before}{begin}\n{tables}\n{end}{rest.split(end)[1]}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _score_table(comparison: Comparison, found: Results) -> str:
    """A row for each method: every score in every column, and the paired test against the baseline."""
    columns = [(title, name, column) for title, name in comparison.scores.items() for column in comparison.columns]
    titles = [f"{title}, {column}" if column else title for title, _, column in columns]
    rows = [
        [method, *(_shown_score(comparison, found, method, name, column) for _, name, column in columns)]
        for method in comparison.methods
    ]
    if len(rows) > 1:
        tests = [_shown_test(comparison, found, method) for method in comparison.methods]
        p = " (p)" if any("(" in test for test in tests) else ""
        titles.append(f"{columns[0][0]} - {comparison.compared_with}{p}")
        rows = [[*row, test] for row, test in zip(rows, tests)]
    return table(["", *titles], rows)


def _shown_score(comparison: Comparison, found: Results, method: str, name: str, column: str) -> str:
    """With the rate that was chosen, beside the first score."""
    scores = scores_of(comparison, found, column, method, name)
    rates = chosen_rate(comparison, found, column, method)
    chosen = name == comparison.first_score and scores and rates and rates[0] is not None
    return shown(scores, len(comparison.seeds), comparison.digits) + (f" (rate {rates[0]:g})" if chosen else "")


def _shown_test(comparison: Comparison, found: Results, method: str) -> str:
    if method == comparison.compared_with:
        return ""
    test = against_baseline(comparison, found, method)
    if not test.pairs:
        return NOT_RUN
    p = "" if math.isnan(test.p) else f" ({test.p:.2g})"
    return f"{test.difference:+.{comparison.digits + 1}f}{p}"


def _rate_table(comparison: Comparison, found: Results, column: str, title: str) -> str:
    """A score at every rate, of the methods that ran them all. Nothing was chosen here."""
    first, *others = comparison.every_rate[column]
    rates = comparison.rates_for(first)
    name = comparison.scores[title]
    scores = {
        method: [scores_of(comparison, found, column, method, name, rate) for rate in rates]
        for method in (first, *others)
    }
    rows = [
        [method, *(shown(cell, len(comparison.seeds), comparison.digits) for cell in cells)]
        for method, cells in scores.items()
    ]
    for method in others:
        tests = [paired(paired_scores(mine, theirs)) for mine, theirs in zip(scores[method], scores[first])]
        cells = [f"{test.difference:+.{comparison.digits + 1}f}" if test.pairs else NOT_RUN for test in tests]
        rows.append([f"{method} - {first}", *cells])
    where = ", ".join(part for part in ("every rate", column, title if len(comparison.scores) > 1 else "") if part)
    return table([where, *(f"{comparison.rate} {rate:g}" for rate in rates)], rows)


def _made_with(comparison: Comparison, found: Results, command: str) -> str:
    lines = [f"`{command}`: seeds {', '.join(map(str, comparison.seeds))}"]
    runs = list(found.values())
    if runs:
        dates = sorted({run.date for run in runs})
        minutes = sum(run.seconds for run in runs) / 60
        when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
        machines = ", ".join(sorted({f"{run.stack['device']}, torch {run.stack['torch']}" for run in runs}))
        lines.append(f"{len(runs)} trainings, {minutes:.0f} minutes, {when}, {machines}")
    return ", ".join(lines) + "." + _choice(comparison)


def _choice(comparison: Comparison) -> str:
    if not comparison.rate:
        return ""
    rates = {method: ", ".join(f"{r:g}" for r in comparison.rates_for(method)) for method in comparison.methods}
    usual = ", ".join(f"{rate:g}" for rate in comparison.rates)
    others = "; ".join(f"{method}: {text}" for method, text in rates.items() if text != usual)
    seeds = ", ".join(map(str, comparison.selection_seeds))
    tried = "; ".join(part for part in (usual, others) if part)
    return f" `{comparison.rate}` was chosen with seed {seeds} among {tried}."
