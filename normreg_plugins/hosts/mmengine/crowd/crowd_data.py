"""Prepared crowd data sets, the steps of their pipeline (load, crop, flip, pack), and the sample that comes out.

`normreg_plugins.crowd.data.preparation` describes the files of a prepared data set.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, TRANSFORMS
from mmengine.structures import BaseDataElement

from normreg_plugins.crowd.data.images import crop, flip, read_rgb, visible_share
from normreg_plugins.crowd.data.preparation import records_in
from normreg_plugins.files import read_numbers

Results = dict[str, Any]
META = ("name", "img_path", "img_shape", "shorter_side", "count")


class CrowdSample(BaseDataElement):
    """The people in a picture or crop, and the prediction for it.

    Data fields: `points` [N, 2] and `targets` [N]; after prediction also `density` [H, W] and `predicted_count`.
    Meta information: `name`, `img_path`, `img_shape` (height and width), `shorter_side` of the full picture, `count`
    of the people annotated in it.
    """


class CrowdDataset(BaseDataset):
    """The images listed in an index such as `train.json`.

    Args:
        ann_file: the index, relative to `data_root`.
        data_root: the prepared folder.
        kwargs: those of mmengine's BaseDataset.
    """

    prepare: ClassVar[str]

    def load_data_list(self) -> list[dict[str, Any]]:
        index = Path(self.ann_file)
        if not index.is_file():
            raise FileNotFoundError(f"{index} is missing; run {self.prepare} {index.parent}")
        data = [_item(index.parent, record) for record in records_in(index)]
        paths = (item[key] for item in data for key in ("img_path", "people_path"))
        if missing := [path for path in paths if not Path(path).is_file()]:
            raise FileNotFoundError(
                f"{index} lists {len(missing)} files that are missing, e.g. {missing[0]}; remove "
                f"{index.parent} and run {self.prepare} {index.parent}"
            )
        return data


def _item(root: Path, record: dict[str, Any]) -> dict[str, Any]:
    picture = root / record["picture"]
    return {
        "name": record["name"],
        "img_path": str(picture),
        "people_path": str(picture.with_suffix(".npy")),
        "shorter_side": min(record["width"], record["height"]),
        "count": record["count"],
    }


@DATASETS.register_module()
class UCFQNRF(CrowdDataset):
    METAINFO: ClassVar[dict[str, str]] = {"dataset": "UCF-QNRF"}
    prepare = "python tools/data/prepare_qnrf.py RAW"


@DATASETS.register_module()
class ShanghaiTech(CrowdDataset):
    METAINFO: ClassVar[dict[str, str]] = {"dataset": "ShanghaiTech"}
    prepare = "python tools/data/prepare_shanghaitech.py RAW"


@DATASETS.register_module()
class MBM(CrowdDataset):
    METAINFO: ClassVar[dict[str, str]] = {"dataset": "MBM"}
    prepare = "python tools/data/prepare_mbm.py RAW"


@TRANSFORMS.register_module()
class CrowdLoad:
    """Read the picture as RGB array `img`, and its people as rows of (x, y, mean distance to the neighbours)."""

    def __call__(self, results: Results) -> Results:
        results["img"] = read_rgb(results["img_path"])
        results["people"] = read_numbers(Path(results["people_path"]), columns=3)
        results["targets"] = np.ones(len(results["people"]), dtype=np.float32)
        return results


@TRANSFORMS.register_module()
class CrowdRandomCrop:
    """Crop a random square window. Pixels of the window beyond the picture get the mean colour.

    The target of a person is the visible share of the head. The size of the head is estimated from the distance to the
    neighbours. A person with too small a share is left out.

    Args:
        size: side of the window in pixels.
        head: bounds of the side of a head in pixels.
        head_scale: side of a head per distance to the neighbours.
        least_visible: the share below which a person is left out.
        partial: whether targets are shares; otherwise the target of each person that is not left out is 1.
    """

    def __init__(
        self,
        size: int = 512,
        head: tuple[float, float] = (4.0, 128.0),
        head_scale: float = 1.0,
        least_visible: float = 0.3,
        partial: bool = True,
    ) -> None:
        self.size = size
        self.head = head
        self.head_scale = head_scale
        self.least_visible = least_visible
        self.partial = partial

    def __call__(self, results: Results) -> Results:
        height, width = results["img"].shape[:2]
        left = random.randint(0, max(0, width - self.size))
        top = random.randint(0, max(0, height - self.size))
        people = results["people"] * np.array([1, 1, self.head_scale], dtype=np.float32)
        inside = min(self.size, width), min(self.size, height)
        seen = visible_share(people, left, top, *inside, self.head)
        visible = seen >= self.least_visible
        targets = results["targets"][visible] * (seen[visible] if self.partial else 1)
        moved = results["people"][visible] - np.array([left, top, 0], dtype=np.float32)
        window = crop(results["img"], left, top, self.size, self.size)
        return {**results, "img": window, "people": moved, "targets": targets}


@TRANSFORMS.register_module()
class CrowdFlip:
    """Mirror left and right with probability `prob`."""

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def __call__(self, results: Results) -> Results:
        if random.random() >= self.prob:
            return results
        image, people = flip(results["img"], results["people"])
        return {**results, "img": image, "people": people}


@TRANSFORMS.register_module()
class CrowdPack:
    """Turn the arrays into the tensors that `CrowdCounter` takes."""

    def __call__(self, results: Results) -> Results:
        results["img_shape"] = results["img"].shape[:2]
        sample = CrowdSample(metainfo={key: results[key] for key in META if key in results})
        sample.points = torch.from_numpy(results["people"][:, :2].copy())
        sample.targets = torch.from_numpy(results["targets"])
        image = torch.from_numpy(np.ascontiguousarray(results["img"].transpose(2, 0, 1)))
        return {"inputs": image, "data_samples": sample}
