"""Does everything that a config reads exist? The data of its dataloaders, and the weights of its model.

`check(cfg)` raises a PreflightError that lists every problem and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from normreg_plugins.cli.preflight.dataset_files import dataset_problems, datasets_in, evaluator_problems
from normreg_plugins.cli.preflight.initial_weights import initial_weights, weight_problems
from normreg_plugins.cli.preflight.installed_host import host_problems
from normreg_plugins.cli.preflight.problem import Problem
from normreg_plugins.cli.preflight.run_to_resume import resume_problems
from normreg_plugins.core.errors import NormRegError


class PreflightError(NormRegError):
    """The config cannot run here; the message lists every problem and what to do about it."""


def check(cfg: Mapping[str, Any], phases: Iterable[str] = ("train", "val")) -> None:
    """Raise PreflightError if `cfg` cannot run on this machine."""
    if problems := problems_of(cfg, phases):
        raise PreflightError("\n".join(map(str, problems)))


def problems_of(cfg: Mapping[str, Any], phases: Iterable[str] = ("train", "val")) -> list[Problem]:
    """One Problem for each thing that is missing or broken, however many keys ask for it."""
    problems = host_problems(cfg)
    if problems:  # nothing of the config can be read without its host
        return problems
    for phase in phases:
        for key, dataset in datasets_in(cfg.get(f"{phase}_dataloader"), f"{phase}_dataloader"):
            problems += dataset_problems(key, dataset, cfg.get("model"))
        problems += evaluator_problems(cfg.get(f"{phase}_evaluator"), f"{phase}_evaluator")
        if phase == "train":  # a test replaces all initial weights by those of its checkpoint
            for key, checkpoint in initial_weights(cfg.get("model"), "model"):
                problems += weight_problems(key, checkpoint)
    if "train" in phases:
        problems += resume_problems(cfg)
    if cfg.get("load_from"):
        problems += weight_problems("load_from", cfg["load_from"])
    return _merged(problems)


def _merged(problems: Iterable[Problem]) -> list[Problem]:
    """Problems with the same text become one, with the keys of all."""
    merged: dict[str, Problem] = {}
    for problem in problems:
        known = merged.setdefault(problem.what, problem)
        merged[problem.what] = replace(known, keys=(*dict.fromkeys(known.keys + problem.keys),))
    return list(merged.values())
