"""Do the images and masks of a segmentation set belong together? Training on a set where they do not fails midway."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from rich.console import Console
from rich.progress import track

from normreg_plugins.evaluation import IGNORED, UNREADABLE

SHOWN = 3


class Pair(NamedTuple):
    image: Path
    mask: Path


def mask_faults(dataset: Mapping[str, Any], heads: Mapping[str, int]) -> list[str]:
    """What is wrong with the files of an mmseg dataset; an empty list if it can be trained on.

    Every mask is read, because one label out of range ends a run on a GPU, and the error names neither mask nor label.

    Args:
        dataset: its config. mmseg builds the dataset, so names, suffixes and label maps mean the same as in training.
        heads: how many classes each head of the model predicts.
    """
    from mmengine.registry import DATASETS

    try:
        with DATASETS.switch_scope_and_registry("mmseg") as datasets:
            built = datasets.build({**dataset, "pipeline": [], "serialize_data": False})
    except Exception as error:  # a dataset class may raise anything
        return [f"{dataset['type']} cannot be built: {error}"]
    classes = built.metainfo.get("classes")
    if not classes:
        return [f"{dataset['type']} has no classes: give it metainfo=dict(classes=(...))"]
    infos = [built.get_data_info(index) for index in range(len(built))]
    pairs = [Pair(Path(info["img_path"]), Path(info["seg_map_path"])) for info in infos]
    place = dataset.get("ann_file") or dataset["data_prefix"].get("img_path", "")
    where = Path(dataset.get("data_root") or "") / place
    if not pairs:
        return [f"{where} lists no images"]
    faults = [*_missing("images", [p.image for p in pairs]), *_missing("masks", [p.mask for p in pairs])]
    if not faults:
        faults = _misfits(pairs, raw_labels(built, infos[0]), len(classes))
    faults += _other_numbers(len(classes), heads)
    return [f"{where}: {fault}" for fault in faults]


def raw_labels(dataset: Any, info: Mapping[str, Any]) -> set[int]:
    """The values that a mask may have: those that mmseg's LoadAnnotations turns into a class or ignores."""
    label_map = info.get("label_map") or {}
    ignored = getattr(dataset, "ignore_index", IGNORED)

    def label(raw: int) -> int:
        if dataset.reduce_zero_label:
            raw = IGNORED if raw in (0, IGNORED) else raw - 1
        return int(label_map.get(raw, raw))

    classes = range(len(dataset.metainfo["classes"]))
    return {raw for raw in range(256) if label(raw) in classes or label(raw) == ignored}


def _missing(what: str, paths: Sequence[Path]) -> Iterator[str]:
    lost = [path for path in paths if not path.is_file()]
    if lost:
        yield f"{len(lost)} of {len(paths)} {what} are missing, e.g. {', '.join(map(str, lost[:SHOWN]))}"


def _misfits(pairs: Sequence[Pair], allowed: set[int], classes: int) -> list[str]:
    """One fault for each kind of misfit, with a few examples."""
    examples: dict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        looked = pool.map(lambda pair: _misfit(pair, allowed, classes), pairs)
        shown = track(looked, "reading masks", total=len(pairs), console=Console(stderr=True), transient=True)
        for kind, example in filter(None, shown):
            examples[kind].append(example)
    return [
        f"{len(found)} of {len(pairs)} masks {kind}, e.g. {', '.join(found[:SHOWN])}"
        for kind, found in examples.items()
    ]


def _misfit(pair: Pair, allowed: set[int], classes: int) -> tuple[str, str] | None:
    """The kind of misfit that one mask has, and how to show it as an example; None if it fits."""
    try:
        with Image.open(pair.image) as image, Image.open(pair.mask) as mask:
            if mask.mode not in ("L", "P"):
                return "do not hold one 8-bit label per pixel (mode L or P)", f"{pair.mask} (mode {mask.mode})"
            if mask.size != image.size:
                sizes = f"{pair.mask} ({_size(mask)}, its image {_size(image)})"
                return "have another size than their image", sizes
            strange = [label for label, pixels in enumerate(mask.histogram()) if pixels and label not in allowed]
    except UNREADABLE as error:
        return "or their images cannot be read", f"{pair.mask} ({error})"
    if strange:
        return f"have labels beyond the {classes} classes", f"{pair.mask} ({', '.join(map(str, strange[:SHOWN]))})"
    return None


def _size(picture: Image.Image) -> str:
    return f"{picture.width}x{picture.height}"


def _other_numbers(classes: int, heads: Mapping[str, int]) -> list[str]:
    wrong = {key: number for key, number in heads.items() if number != classes}
    return [f"has {classes} classes, but {key}.num_classes is {number}" for key, number in wrong.items()]


def head_classes(model: Any) -> dict[str, int]:
    """How many classes each head of an mmseg model predicts, by its config key."""
    found = {}
    for name in ("decode_head", "auxiliary_head"):
        head = (model or {}).get(name)
        cascade = head if isinstance(head, list | tuple) else None
        each = {f"model.{name}.{i}": h for i, h in enumerate(cascade)} if cascade else {f"model.{name}": head}
        found.update({key: h["num_classes"] for key, h in each.items() if h and isinstance(h.get("num_classes"), int)})
    return found
