"""Can a config run on this machine? Are its data and weights there, and do its class counts fit?

`check(cfg)` raises a PreflightError that lists every problem and what to do about it. It asks only whether paths exist.
What is in the files was checked when the data set was prepared.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from normreg_plugins.cli.preflight.where_to_get import where_to_get
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.training import STATE_KEY

EXTRAS = {"mmdet": "mm", "mmseg": "mm", "mmpretrain": "mmpretrain"}
"""The extra that installs the library of each scope."""
HEADS = ("decode_head", "auxiliary_head", "bbox_head", "mask_head", "head")
"""Parts of a model whose `num_classes` is the number of classes of the data set."""


class PreflightError(NormRegError):
    """The config cannot run here; the message lists every problem and what to do about it."""


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a config from running, and what to do about it."""

    what: str
    way_out: str
    keys: tuple[str, ...] = ()
    """The config keys that name the path, in the form that --cfg-options takes."""

    def __str__(self) -> str:
        elsewhere = " ".join(f"{key}=PATH" for key in self.keys)
        option = f"\n  or, if it is elsewhere: --cfg-options {elsewhere}" if elsewhere else ""
        return f"- {self.what}\n  {self.way_out}{option}"


def check(cfg: Mapping[str, Any], phases: Iterable[str] = ("train", "val")) -> None:
    """Raise PreflightError if `cfg` cannot run on this machine."""
    if problems := problems_of(cfg, phases):
        raise PreflightError("\n".join(map(str, problems)))


def problems_of(cfg: Mapping[str, Any], phases: Iterable[str] = ("train", "val")) -> list[Problem]:
    """One Problem for each thing that is missing, however many keys ask for it."""
    if problems := host_problems(cfg):  # nothing of the config can be read without its host
        return problems
    for phase in phases:
        for key, dataset in datasets_in(cfg.get(f"{phase}_dataloader"), f"{phase}_dataloader"):
            problems += dataset_problems(key, dataset)
            problems += class_problems(key, dataset, cfg)
        problems += evaluator_problems(cfg.get(f"{phase}_evaluator"), f"{phase}_evaluator")
    if "train" in phases:  # a test replaces all initial weights by those of its checkpoint
        for key, checkpoint in initial_weights(cfg):
            if "://" not in checkpoint and not Path(checkpoint).expanduser().is_file():
                problems.append(missing(checkpoint, key))
        problems += resume_problems(cfg)
    return _merged(problems)


def _merged(problems: Iterable[Problem]) -> list[Problem]:
    """Problems with the same text become one, with the keys of all."""
    merged: dict[str, Problem] = {}
    for problem in problems:
        known = merged.setdefault(problem.what, problem)
        merged[problem.what] = replace(known, keys=(*dict.fromkeys(known.keys + problem.keys),))
    return list(merged.values())


def missing(path: str | Path, key: str) -> Problem:
    way_out = where_to_get(path) or f"put it at {Path(path).expanduser().absolute()}"
    return Problem(f"{path} does not exist (in {Path.cwd()})", way_out, (key,))


def host_problems(cfg: Mapping[str, Any]) -> list[Problem]:
    """One problem if `default_scope` names a library that is not installed."""
    scope = cfg.get("default_scope")
    if scope not in EXTRAS or find_spec(scope) is not None:
        return []
    extra = EXTRAS[scope]
    way_out = f"pip install 'normreg_plugins[{extra}]', or [{extra}-classic] with mmcv 2.1: docs/installation.md"
    return [Problem(f"{scope} is not installed", way_out)]


def mappings_in(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping in a part of a config, with its key in the form that --cfg-options takes."""
    if isinstance(node, Mapping):
        yield key, node
    parts = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list | tuple) else ()
    for name, part in parts:
        yield from mappings_in(part, f"{key}.{name}")


def _name(key: str) -> str:
    """model.heads.0 -> heads"""
    return key.rstrip(".0123456789").rpartition(".")[2]


# Data


def datasets_in(loader: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The datasets that read files, with their keys, from inside wrappers such as ConcatDataset."""
    for place, node in mappings_in(loader, key):
        wraps = node.get("dataset") or node.get("datasets")
        if _name(place) in ("dataset", "datasets") and "type" in node and not wraps:
            yield place, node


def dataset_problems(key: str, dataset: Mapping[str, Any]) -> list[Problem]:
    root = dataset.get("data_root") or ""
    if dataset.get("backend_args") or "://" in root:
        return []  # the files are not on this machine's disk
    if root and not Path(root).is_dir():
        return [missing(root, f"{key}.data_root")]
    prefix = dataset.get("data_prefix") or {}
    wanted = {"data_prefix": prefix} if isinstance(prefix, str) else {f"data_prefix.{k}": v for k, v in prefix.items()}
    wanted["ann_file"] = dataset.get("ann_file") or ""
    paths = {name: Path(root, path) for name, path in wanted.items() if path and "://" not in path}
    return [missing(path, f"{key}.{name}") for name, path in paths.items() if not path.exists()]


def evaluator_problems(evaluator: Any, key: str) -> list[Problem]:
    """An evaluator such as CocoMetric reads the annotations again, from a path of its own."""
    nodes = mappings_in(evaluator, key)
    files = {place: node.get("ann_file") for place, node in nodes if not node.get("backend_args")}
    there = {place: file for place, file in files.items() if file and "://" not in file}
    return [missing(file, f"{place}.ann_file") for place, file in there.items() if not Path(file).exists()]


def class_problems(key: str, dataset: Mapping[str, Any], cfg: Mapping[str, Any]) -> list[Problem]:
    """Heads whose `num_classes` is not the number of classes of the data set."""
    counts = _class_counts(dataset, cfg.get("default_scope"))
    model = cfg.get("model") or {}
    if not counts or "language_model" in model:
        return []
    heads = {head: node.get("num_classes") for head, node in mappings_in(model, "model") if _name(head) in HEADS}
    return [
        Problem(
            f"{key} has {counts[0]} classes, but {head}.num_classes is {number}",
            f"set {head}.num_classes={counts[0]}, or name the classes: {key}.metainfo=dict(classes=(...))",
        )
        for head, number in heads.items()
        if isinstance(number, int) and number not in counts
    ]


def _class_counts(dataset: Mapping[str, Any], scope: str | None) -> list[int]:
    """The number of classes, from the config or the dataset's class; of a panoptic set that of things, too."""
    metainfo = dataset.get("metainfo") or {}
    if "classes" not in metainfo and scope in EXTRAS:
        from mmengine.registry import DATASETS

        with DATASETS.switch_scope_and_registry(scope) as datasets:
            metainfo = getattr(datasets.get(dataset["type"]), "METAINFO", {})
    names = [metainfo[name] for name in ("classes", "thing_classes") if metainfo.get(name)]
    return [1 if isinstance(each, str) else len(each) for each in names]


# Weights


def initial_weights(cfg: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every checkpoint that training begins with, with its key."""
    if cfg.get("load_from"):
        yield "load_from", cfg["load_from"]
    for key, node in mappings_in(cfg.get("model"), "model"):
        name = "checkpoint" if node.get("type") in ("Pretrained", "NormRegPretrained") else "pretrained"
        if isinstance(node.get(name), str):
            yield f"{key}.{name}", node[name]


def resume_problems(cfg: Mapping[str, Any]) -> list[Problem]:
    """A checkpoint to resume from that is missing, or that was trained with a method where the config has none."""
    if not cfg.get("resume"):
        return []
    last = Path(cfg["work_dir"], "last_checkpoint")
    checkpoint = cfg.get("load_from") or (last.read_text().strip() if last.is_file() else "")
    if not checkpoint or "://" in checkpoint:
        return []
    if not Path(checkpoint).is_file():
        what = f"{checkpoint} does not exist, and {last} says that it is the last checkpoint"
        return [] if cfg.get("load_from") else [Problem(what, "name another one: --resume CHECKPOINT")]
    if method_of(cfg) is not None or not trained_with_method(Path(checkpoint)):
        return []
    way_out = "resume with the same regularizer, or start a new run from its weights: leave --resume out"
    return [Problem(f"{checkpoint} was trained with a method, and this config has none", way_out)]


def method_of(cfg: Mapping[str, Any]) -> dict[str, Any] | None:
    """The method that a config names, in `optim_wrapper` or in a hook."""
    places = [cfg.get("optim_wrapper") or {}, *(cfg.get("custom_hooks") or [])]
    return next((place["regularizer"] for place in places if "regularizer" in place), None)


def trained_with_method(checkpoint: Path) -> bool:
    """Whether the optimizer's state in a checkpoint carries a method's state. Nothing in the file is executed."""
    if not zipfile.is_zipfile(checkpoint):
        return False
    with zipfile.ZipFile(checkpoint) as archive:
        pickles = [archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl")]
    return any(argument == STATE_KEY for each in pickles for _, argument, _ in pickletools.genops(each))
