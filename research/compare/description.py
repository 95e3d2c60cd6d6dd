"""What a comparison compares, as a short file describes it: methods, settings, rates, seeds and scores."""

from __future__ import annotations

import itertools
import runpy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from normreg_plugins.core.errors import NormRegError

FOLDER = Path(__file__).resolve().parent / "descriptions"
KINDS = ("mm", "mmpretrain", "cifar")
Settings = Mapping[str, Any]


class ComparisonError(NormRegError):
    """A comparison that cannot be made as it is described."""


@dataclass(frozen=True)
class Comparison:
    """Rows are methods. Columns are settings that all methods share, such as the number of pictures.

    Each cell of rows and columns has its learning rate chosen on validation. Every method tries equally many.
    """

    name: str
    title: str
    kind: str
    """'mm': trains an mm config. 'cifar': trains research.cifar in plain torch; 'mmpretrain': the same at full size."""
    methods: Mapping[str, Settings]
    """The settings of each method. In 'mm' these are --cfg-options, and `config` replaces the pattern."""
    scores: Mapping[str, str]
    """From the title of a score to its name in the results. The first one is tested and drawn."""
    base: Settings = field(default_factory=dict)
    """The settings of all cells."""
    columns: Mapping[str, Settings] = field(default_factory=lambda: {"": {}})
    config: str = ""
    """Of 'mm': the path of a method's config, with {method} where its name stands."""
    bfloat16: bool = False
    """Of 'mm': train and test in mixed precision on the CPU, where CSRNet takes half the time."""
    rate: str = ""
    """Which setting is chosen on validation. Empty: nothing is chosen."""
    rates: Sequence[float] = ()
    rates_of: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Other rates of a method, as many as the others have."""
    seeds: Sequence[int] = (0, 1, 2)
    selection_seeds: Sequence[int] = (0,)
    every_rate: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By column: methods that run every rate with every seed. Their test scores are compared rate by rate."""
    higher_is_better: bool = True
    digits: int = 1
    baseline: str = ""
    """What the others are tested against. Empty: the first method."""
    not_drawn: Sequence[str] = ()
    """Methods so far from the others that a picture with them would show nothing else."""
    sweeps: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By the title of an axis: the methods along it and their place. Two sweeps are drawn over twin axes."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ComparisonError(f"{self.name}: kind={self.kind!r} is not one of {', '.join(KINDS)}")
        if not self.methods or not self.scores or not self.seeds:
            raise ComparisonError(f"{self.name}: methods, scores and seeds must not be empty")
        budgets = {method: len(self.rates_for(method)) for method in self.methods}
        if len(set(budgets.values())) > 1:
            said = ", ".join(f"{method}: {count}" for method, count in budgets.items())
            raise ComparisonError(f"{self.name}: each method must try equally many rates, not {said}")
        if bool(self.rate) != any(budgets.values()):
            raise ComparisonError(f"{self.name}: rate={self.rate!r} and rates={list(self.rates)} belong together")
        named = {*self.rates_of, *self.not_drawn, self.compared_with}
        named |= {method for some in (*self.every_rate.values(), *self.sweeps.values()) for method in some}
        if unknown := sorted(named - set(self.methods)):
            raise ComparisonError(f"{self.name}: {unknown[0]!r} is not one of its methods: {', '.join(self.methods)}")
        if lost := sorted(set(self.selection_seeds) - set(self.seeds)):
            raise ComparisonError(f"{self.name}: selection_seeds has {lost[0]}, which is not one of seeds")

    @property
    def groups(self) -> tuple[tuple[str, str], ...]:
        """Column and method of the groups of cells, each independent of the others."""
        return tuple(itertools.product(self.columns, self.methods))

    @property
    def is_grid(self) -> bool:
        """Whether every method runs every rate in every column."""
        return all(set(self.every_rate.get(column, ())) == set(self.methods) for column in self.columns)

    @property
    def first_score(self) -> str:
        """Its name in the results. This one is tested and drawn."""
        return next(iter(self.scores.values()))

    @property
    def compared_with(self) -> str:
        return self.baseline or next(iter(self.methods))

    def rates_for(self, method: str) -> Sequence[float]:
        return self.rates_of.get(method, self.rates)

    @property
    def drawn(self) -> list[str]:
        return [method for method in self.methods if method not in self.not_drawn]

    def with_seeds(self, seeds: Sequence[int] | None) -> Comparison:
        """The same with other seeds, the first of which chooses the rates. None leaves them."""
        return replace(self, seeds=seeds, selection_seeds=seeds[:1]) if seeds else self


def described() -> list[str]:
    """The names of the comparisons in research/compare/descriptions."""
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def read_comparison(name: str | Path, small: bool = False) -> Comparison:
    """The comparison of this name, or the one that this file describes.

    Args:
        small: with the fields of the description's `small`, which has the settings for two CPU cores.
    """
    path = Path(name) if Path(name).suffix == ".py" else FOLDER / f"{name}.py"
    if not path.is_file():
        raise ComparisonError(f"there is no comparison {str(name)!r}, only {', '.join(described())}")
    found = {key: value for key, value in runpy.run_path(str(path)).items() if not key.startswith("_")}
    changes = found.pop("small", None)
    if small and changes is None:
        raise ComparisonError(f"{path} has no small size")
    found = {"name": path.stem, **found}
    if small:
        found |= {**changes, "name": f"{path.stem}_small"}
    known = {each.name for each in fields(Comparison)}
    if unknown := sorted(set(found) - known):
        raise ComparisonError(f"{path}: {unknown[0]!r} is unknown: a comparison has {', '.join(sorted(known))}")
    return Comparison(**found)
