"""The files that a config's datasets and evaluators read: do they exist, and can they be trained on?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from normreg_plugins.cli.preflight.class_images import TYPES as CLASSIFICATION
from normreg_plugins.cli.preflight.class_images import class_faults
from normreg_plugins.cli.preflight.coco_annotations import coco_faults
from normreg_plugins.cli.preflight.problem import Problem, is_remote, missing
from normreg_plugins.cli.preflight.segmentation_masks import head_classes, mask_faults
from normreg_plugins.cli.preflight.where_to_get import where_to_get


def datasets_in(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The datasets that read files, with their keys, from inside wrappers such as ConcatDataset."""
    if isinstance(node, list | tuple):
        for index, part in enumerate(node):
            yield from datasets_in(part, f"{key}.{index}")
    elif isinstance(node, Mapping):
        inner = [name for name in ("dataset", "datasets") if node.get(name)]
        for name in inner:
            yield from datasets_in(node[name], f"{key}.{name}")
        if not inner and "type" in node:
            yield key, node


def dataset_problems(key: str, dataset: Mapping[str, Any], model: Any) -> list[Problem]:
    root = dataset.get("data_root") or ""
    if dataset.get("backend_args") or is_remote(root):
        return []  # the files are not on this machine's disk
    if root and not Path(root).is_dir():
        return [missing(Path(root), f"{key}.data_root")]
    if dataset.get("type") in CLASSIFICATION:
        return _content_problems(key, dataset, {}, model)
    wanted = {f"{key}.data_prefix.{name}": path for name, path in (dataset.get("data_prefix") or {}).items()}
    if dataset.get("ann_file"):
        wanted[f"{key}.ann_file"] = dataset["ann_file"]
    paths = {place: Path(root) / path for place, path in wanted.items() if not is_remote(path)}
    problems = [missing(path, place) for place, path in paths.items() if not path.exists()]
    if problems or len(paths) < len(wanted):
        return problems
    return _content_problems(key, dataset, paths, model)


def _content_problems(key: str, dataset: Mapping[str, Any], paths: Mapping[str, Path], model: Any) -> list[Problem]:
    """Faults inside files that are all there."""
    root = dataset.get("data_root") or ""
    asked, faults = f"{key}.ann_file", []
    if dataset.get("type") in CLASSIFICATION:
        asked, faults = f"{key}.data_root", class_faults(dataset, Path(root), model)
    elif dataset.get("type") == "CocoDataset" and asked in paths:
        images = paths.get(f"{key}.data_prefix.img", Path(root))
        faults = coco_faults(paths[asked], images, (dataset.get("metainfo") or {}).get("classes", ()))
    elif "seg_map_path" in (dataset.get("data_prefix") or {}):
        asked = asked if asked in paths else f"{key}.data_root"
        faults = mask_faults(dataset, head_classes(model))
    source = where_to_get(paths.get(asked, Path(root)))
    get = f"fix it, or get it again: {source}" if source else "fix it"
    return [Problem(fault, get, (asked,)) for fault in faults]


def evaluator_problems(node: Any, key: str) -> list[Problem]:
    """An evaluator such as CocoMetric reads the annotations again, from a path of its own."""
    if isinstance(node, list | tuple):
        return [p for i, part in enumerate(node) for p in evaluator_problems(part, f"{key}.{i}")]
    ann_file = node.get("ann_file") if isinstance(node, Mapping) else None
    if not ann_file or node.get("backend_args") or is_remote(ann_file) or Path(ann_file).exists():
        return []
    return [missing(Path(ann_file), f"{key}.ann_file")]
