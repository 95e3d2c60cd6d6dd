"""What a config needs and this machine lacks, found before anything is built.

`check(cfg)` reads a plain mm config: the data of its dataloaders, the weights of its model.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.annotations import coco_faults
from normreg_plugins.hosts.preflight_segmentation import head_classes, mask_faults
from normreg_plugins.hosts.run_to_resume import names_a_method, to_resume, trained_with_method

PICKLE_MAGIC = b"\x80"  # torch.save's old format, which can only be judged by loading it

PREPARE_MINI_CROWD = "python tools/prepare_qnrf.py data/mini/crowd data/mini/crowd/prepared --sides 128 256 --val 24"
HOW_TO_GET = (  # a pattern on the path, and what to do; the first that matches counts
    (
        r"(?:^|/)data/mini/crowd\b",
        f"make and prepare it, in seconds: python tools/make_mini_data.py crowd && {PREPARE_MINI_CROWD}",
    ),
    (r"(?:^|/)data/mini/(\w+)", r"make it, in seconds: python tools/make_mini_data.py \1"),
    (
        r"coco2014|trainvalno5k",
        "it takes train2014/, val2014/ and annotations/ of COCO 2014 from "
        "https://cocodataset.org/#download, and then: python tools/prepare_coco2014.py",
    ),
    (
        r"coco",
        "it takes train2017/, val2017/ and annotations/ of COCO 2017 from https://cocodataset.org/#download",
    ),
    (
        r"qnrf",
        "unpack UCF-QNRF_ECCV18.zip from https://www.crcv.ucf.edu/data/ucf-qnrf/, and then: "
        "python tools/prepare_qnrf.py UCF-QNRF_ECCV18 data/qnrf",
    ),
    (
        r"shanghaitech",
        "unpack ShanghaiTech, and then: python tools/prepare_shanghaitech.py part_A data/shanghaitech_a",
    ),
    (r"SegmentationClassAug|/aug\.txt", "make it from VOC and SBD: python tools/prepare_voc_aug.py"),
    (
        r"VOCdevkit",
        "unpack VOCtrainval_11-May-2012.tar in data/, from "
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/, and then: python tools/prepare_voc_aug.py",
    ),
    (
        r"cityscapes",
        "unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip in data/cityscapes, from "
        "https://www.cityscapes-dataset.com/downloads/, and then: pip install cityscapesscripts && "
        "CITYSCAPES_DATASET=data/cityscapes csCreateTrainIdLabelImgs",
    ),
)


class PreflightError(NormRegError):
    """The config cannot run here; the message lists every problem and its way out."""


@dataclass(frozen=True)
class Problem:
    what: str
    get: str
    """What to do about it."""
    keys: tuple[str, ...]
    """The config keys that ask for it, as --cfg-options takes them."""

    def __str__(self) -> str:
        elsewhere = " ".join(f"{key}=PATH" for key in self.keys)
        return f"- {self.what}\n  {self.get}\n  or, if it lies elsewhere: --cfg-options {elsewhere}"


def check(cfg: Mapping[str, Any], phases: Iterable[str] = ("train", "val")) -> None:
    """Raise PreflightError if `cfg` cannot run on this machine."""
    if problems := problems_of(cfg, phases):
        raise PreflightError("\n".join(map(str, problems)))


def problems_of(cfg: Mapping[str, Any], phases: Iterable[str] = ("train", "val")) -> list[Problem]:
    """One Problem per thing that is missing or broken, however many keys ask for it."""
    problems: list[Problem] = []
    for phase in phases:
        for key, dataset in _datasets(cfg.get(f"{phase}_dataloader"), f"{phase}_dataloader"):
            problems += _dataset_problems(key, dataset, cfg.get("model"))
        problems += _evaluator_problems(cfg.get(f"{phase}_evaluator"), f"{phase}_evaluator")
        if phase == "train":  # a test loads its checkpoint over whatever the parts begin with
            for key, checkpoint in _initial_weights(cfg.get("model"), "model"):
                problems += weight_problems(key, checkpoint)
    if "train" in phases:
        problems += _resume_problems(cfg)
    if cfg.get("load_from"):
        problems += weight_problems("load_from", cfg["load_from"])
    merged: dict[str, Problem] = {}
    for problem in problems:
        known = merged.setdefault(problem.what, problem)
        merged[problem.what] = replace(known, keys=(*dict.fromkeys(known.keys + problem.keys),))
    return list(merged.values())


def _datasets(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The datasets that read files, inside whatever wrappers."""
    if isinstance(node, list | tuple):
        for index, part in enumerate(node):
            yield from _datasets(part, f"{key}.{index}")
    elif isinstance(node, Mapping):
        inner = [name for name in ("dataset", "datasets") if node.get(name)]
        for name in inner:
            yield from _datasets(node[name], f"{key}.{name}")
        if not inner and "type" in node:
            yield key, node


def _dataset_problems(key: str, dataset: Mapping[str, Any], model: Any) -> list[Problem]:
    root = dataset.get("data_root") or ""
    if dataset.get("backend_args") or _is_remote(root):
        return []  # not on this machine's disk
    if root and not Path(root).is_dir():
        return [_missing(Path(root), f"{key}.data_root")]
    wanted = {f"{key}.data_prefix.{k}": v for k, v in (dataset.get("data_prefix") or {}).items()}
    if dataset.get("ann_file"):
        wanted[f"{key}.ann_file"] = dataset["ann_file"]
    paths = {place: Path(root) / path for place, path in wanted.items() if not _is_remote(path)}
    problems = [_missing(path, place) for place, path in paths.items() if not path.exists()]
    if problems or len(paths) < len(wanted):
        return problems
    asked, faults = f"{key}.ann_file", []
    if dataset.get("type") == "CocoDataset" and asked in paths:
        images = paths.get(f"{key}.data_prefix.img", Path(root))
        faults = coco_faults(paths[asked], images, (dataset.get("metainfo") or {}).get("classes", ()))
    elif "seg_map_path" in (dataset.get("data_prefix") or {}):
        asked = asked if asked in paths else f"{key}.data_root"
        faults = mask_faults(dataset, head_classes(model))
    hint = _hint(paths.get(asked, Path(root)))
    get = f"fix it, or get it again: {hint}" if hint else "fix it"
    return [Problem(fault, get, (asked,)) for fault in faults]


def _evaluator_problems(node: Any, key: str) -> list[Problem]:
    """A metric that reads the annotations again, at a path of its own."""
    if isinstance(node, list | tuple):
        return [p for i, part in enumerate(node) for p in _evaluator_problems(part, f"{key}.{i}")]
    ann_file = node.get("ann_file") if isinstance(node, Mapping) else None
    if not ann_file or node.get("backend_args") or _is_remote(ann_file) or Path(ann_file).exists():
        return []
    return [_missing(Path(ann_file), f"{key}.ann_file")]


def _is_remote(path: str) -> bool:
    return "://" in path


def _missing(path: Path, key: str) -> Problem:
    get = _hint(path) or f"put it at {path.absolute()}"
    return Problem(f"{path} does not exist (in {Path.cwd()})", get, (key,))


def _hint(path: Path) -> str:
    """Where such data comes from, if that is known."""
    for pattern, way in HOW_TO_GET:
        if match := re.search(pattern, path.as_posix(), re.IGNORECASE):
            return match.expand(way)
    return ""


def _initial_weights(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every checkpoint that a part of a model begins with."""
    if isinstance(node, list | tuple):
        for index, part in enumerate(node):
            yield from _initial_weights(part, f"{key}.{index}")
    elif isinstance(node, Mapping):
        name = "checkpoint" if node.get("type") == "Pretrained" else "pretrained"
        for inner, value in node.items():
            if inner == name and isinstance(value, str):
                yield f"{key}.{inner}", value
            else:
                yield from _initial_weights(value, f"{key}.{inner}")


def _resume_problems(cfg: Mapping[str, Any]) -> list[Problem]:
    """A last checkpoint that is gone or torn, or one of a method that the config does not have."""
    checkpoint = to_resume(cfg)
    if checkpoint is None:
        return []
    problems = weight_problems("load_from", checkpoint)
    if not problems and not names_a_method(cfg) and trained_with_method(Path(checkpoint)):
        what = f"{checkpoint} was trained with a method, and this config has none"
        get = "resume with the same regularizer, or begin a new run from its weights: leave --resume out"
        problems.append(Problem(what, get, ("load_from",)))
    return problems


def weight_problems(key: str, checkpoint: str) -> list[Problem]:
    """Is the checkpoint that `key` names on this machine, in mm's cache or as a file, and whole?"""
    url = _url_of(checkpoint)
    if url is None and _is_remote(checkpoint):
        return []  # a scheme of the site's own: its loader will speak for itself
    if url is None:
        path = Path(checkpoint).expanduser()
        get = f"put it at {path.absolute()}"
    else:
        path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
        get = f"curl --create-dirs -L -o {path} {url}"
    if not path.is_file():
        return [Problem(f"the weights {checkpoint} are not at {path}", get, (key,))]
    if not _looks_whole(path):
        return [Problem(f"{path} is no checkpoint, or one that was cut off", get, (key,))]
    return []


def _looks_whole(path: Path) -> bool:
    """False for what torch.load cannot read: a zip without its end is a torn download or save."""
    with path.open("rb") as file:
        return file.read(1) == PICKLE_MAGIC or zipfile.is_zipfile(path)


def _url_of(checkpoint: str) -> str | None:
    """Where mm downloads such a checkpoint from, None if it does not."""
    from mmengine.runner import checkpoint as zoo

    scheme, _, name = checkpoint.partition("://")
    if scheme in ("http", "https"):
        return checkpoint
    if scheme in ("open-mmlab", "openmmlab"):
        return zoo.get_external_models().get(zoo.get_deprecated_model_names().get(name, name))
    if scheme in ("torchvision", "modelzoo"):
        return zoo.get_torchvision_models().get(name)
    return None
