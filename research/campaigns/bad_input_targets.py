"""What bad input is given to: everything that reads settings or files of a user."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers.training import tiny_net, train
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.cli.crowd.infer_crowd import read_checkpoint
from normreg_plugins.cli.data.prepare_voc_aug import labels_in
from normreg_plugins.crowd import CSRNet, load_vgg16
from normreg_plugins.crowd.data import (
    AnnotationError,
    map_in_processes,
    read_qnrf_points,
    read_rgb,
    read_shanghaitech_points,
    records_in,
    stored_rotated,
)
from normreg_plugins.evaluation import (
    load_annotations,
    load_counts,
    load_map,
    load_predictions,
    read_mask,
)
from normreg_plugins.files import read_numbers
from normreg_plugins.hosts.methods import METHODS, build_method, options_of
from normreg_plugins.monitor import logged_scores, read_run
from research.campaigns.damage import ODD, attacks, claimed_sizes, damaged

Reader = Callable[[Path], Any]


@dataclass(frozen=True)
class Target:
    """One thing that is attacked.

    Args:
        inputs: draws what it is given; bytes are written to a file.
        give: takes what was drawn, or the file.
        suffix: of the file.
        file: its full name, where that is fixed.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    give: Callable[[Any], Any]
    suffix: str = ""
    file: str = ""


def targets(folder: Path, marker: Path) -> list[Target]:
    """All of them. A file named `marker` is made where a reader runs code of a file."""
    return [*_settings(), *_states(), *_checkpoints(marker), *_mat_files(folder), *_arrays(), *_texts(), *_pictures(),
            *_predictions(marker)]  # fmt: skip


def _settings() -> Iterator[Target]:
    for name in METHODS:
        known = st.sampled_from([*options_of(name), "intervall", "", "type"])
        yield Target(f"options of {name}", st.dictionaries(known, ODD, max_size=4), partial(_act, name))
    yield Target("method names", ODD, lambda name: build_method(name, {}))


def _act(name: str, options: dict[str, Any]) -> None:
    """Two updates with a method, if its options are accepted."""
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, build_method(name, options), updates_per_epoch=2)
    train(net, optimizer, 2)


def _states() -> Iterator[Target]:
    """States of an optimizer whose entry of ours is damaged."""
    radii = st.dictionaries(st.sampled_from(["0.weight", "3.weight", "x"]), ODD | _radii(), max_size=3)
    entries = ODD | st.fixed_dictionaries({"updates": ODD}, optional={"kept": radii | ODD})
    yield Target("saved state of a method", entries, _load_entry)


def _radii() -> st.SearchStrategy[Any]:
    shapes = st.sampled_from([(6, 1, 1, 1), (8, 1, 1, 1), (1,), (0,), (2, 3)])
    return st.fixed_dictionaries({"radius": shapes.map(torch.ones) | ODD})


def _load_entry(entry: Any) -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    attach(optimizer, net, WeightRescaling(interval=1, radius="initial"))
    train(net, optimizer, 1)
    state = optimizer.state_dict()
    state["param_groups"][0]["normreg_plugins"] = entry
    optimizer.load_state_dict(state)
    train(net, optimizer, 1)


def _checkpoints(marker: Path) -> Iterator[Target]:
    other = [_saved({"state_dict": tiny_net().state_dict(), "meta": {}}), _saved(tiny_net().state_dict()), _saved([1])]
    files = damaged(other) | st.sampled_from([*attacks(marker), *other])
    yield Target("weights of VGG16", files, lambda path: load_vgg16(_csrnet(), path), ".pth")
    yield Target("checkpoints for infer_crowd", files, read_checkpoint, ".pth")


def _csrnet() -> CSRNet:
    with torch.device("meta"):
        return CSRNet()


def _saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def in_process(read: Reader, path: Path) -> Any:
    """Read in another process, which a damaged file may kill."""
    (result,) = map_in_processes(read, [path])
    if isinstance(result, BrokenProcessPool):
        raise AnnotationError(f"{path}: the process that read it was killed")
    return result


def _mat_files(folder: Path) -> Iterator[Target]:
    points = np.random.default_rng(0).random((9, 2)) * 50
    cells = np.empty((1, 1), dtype=[("Segmentation", object)])
    cells[0, 0] = (np.arange(20, dtype=np.uint8).reshape(4, 5),)
    struct = np.empty((1, 1), dtype=[("location", object), ("number", object)])
    struct[0, 0] = points, len(points)
    info = np.empty((1, 1), dtype=object)
    info[0, 0] = struct

    def mat(content: dict[str, Any], compressed: bool) -> bytes:
        savemat(folder / "undamaged.mat", content, do_compression=compressed)
        return (folder / "undamaged.mat").read_bytes()

    both = {"GTcls": cells, "annPoints": points}
    readers: dict[str, tuple[Reader, dict[str, Any]]] = {
        "UCF-QNRF": (read_qnrf_points, both),
        "ShanghaiTech": (read_shanghaitech_points, {"image_info": info}),
        "SBD": (labels_in, both),
    }
    for name, (read, content) in readers.items():
        files = [mat(content, compressed) for compressed in (False, True)]
        yield Target(f".mat of {name}", damaged(files), partial(in_process, read), ".mat")


def _arrays() -> Iterator[Target]:
    def npy(array: np.ndarray) -> bytes:
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()

    arrays: list[np.ndarray] = [
        np.ones((5, 3), np.float32),
        np.ones(3),
        np.array(["a"]),
        np.ones((2, 2), complex),
        np.ones((4, 1)),
    ]
    files = damaged([npy(array) for array in arrays]) | st.sampled_from([npy(np.array([{}])), *map(npy, arrays)])
    yield Target("point files", files, lambda path: read_numbers(path, columns=3), ".npy")
    yield Target("density maps", files, lambda path: load_map(path.parent, path.stem), ".npy")


def _texts() -> Iterator[Target]:
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12}],
        "categories": [{"id": 1, "name": "a"}],
    }
    prepared = {"images": [{"name": "a", "picture": "train/a.jpg", "width": 9, "height": 9, "count": 1}]}
    log = {"step": 1, "loss": 0.5, "layers": {"name": ["a"], "norm": [1.0]}}
    readers: dict[str, tuple[Any, Reader, str]] = {
        "detections": ([box], lambda path: load_predictions(path, [1]), ".json"),
        "annotations to score with": (coco, load_annotations, ".json"),
        "saved counts": ({"counts": {"a": 1.5}}, lambda path: load_counts(path.parent), ".json"),
        "index of a prepared set": (prepared, records_in, ".json"),
        "log of a run": (log, read_run, ".jsonl"),
        "log to score": (log, lambda path: logged_scores(path, ["loss"]), ".jsonl"),
    }
    for name, (content, read, suffix) in readers.items():
        text = f"{json.dumps(content)}\n".encode()
        files = damaged([text]) | _changed(content).map(lambda value: f"{json.dumps(value)}\n".encode())
        file = "predictions.json" if name == "saved counts" else ""
        yield Target(name, files | st.sampled_from([b"[" * 50_000, b"\xff\xfe", b"", b"null\n"]), read, suffix, file)


def _changed(content: Any) -> st.SearchStrategy[Any]:
    """JSON with one odd value somewhere."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> Any:
        value = json.loads(json.dumps(content))
        inner, path = value, None
        while isinstance(inner, dict | list) and inner and draw(st.integers(0, 3)):
            path = inner, draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
            inner = inner[path[1]]
        odd = draw(ODD.filter(lambda value: not isinstance(value, int) or abs(value) < 10**300))
        if path is None:
            return odd
        path[0][path[1]] = odd
        return value

    return draw_one()


def _pictures() -> Iterator[Target]:
    files = []
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"):
        for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
            file = io.BytesIO()
            try:
                Image.new(mode, (9, 7)).save(file, kind, exif=_turned())
            except (OSError, KeyError, ValueError):
                continue  # not every format has every mode
            files.append(file.getvalue())
    png = io.BytesIO()
    Image.new("L", (9, 7)).save(png, "PNG")
    inputs = damaged(files) | claimed_sizes(png.getvalue()) | st.sampled_from(files)

    def read(path: Path) -> None:
        read_rgb(path)
        stored_rotated(path)
        read_rgb(path, upright=True)

    yield Target("pictures", inputs, read, ".jpg")
    yield Target("masks", inputs, read_mask, ".png")


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _predictions(marker: Path) -> Iterator[Target]:
    instances = {"bboxes": torch.ones(2, 4), "scores": torch.tensor([0.5, 0.25]), "labels": torch.tensor([0, 0])}
    sample = {"img_id": 1, "pred_instances": instances, "ori_shape": (4, 4), "scale": np.float32(0.5)}
    files = [pickle.dumps([sample], protocol) for protocol in (2, 4, 5)]
    inputs = damaged(files) | st.sampled_from([*attacks(marker), *files]) | ODD.map(pickle.dumps)
    yield Target("result pickles", inputs, lambda path: load_predictions(path, [1]), ".pkl")
