"""Prepared data sets in mmengine, and people who stay on their pixels through the steps of a pipeline."""

from __future__ import annotations

import json
import random
import shutil

import numpy as np
import pytest
import torch

pytest.importorskip("mmengine")
pytest.importorskip("mmcv")

from mmengine.dataset import Compose
from mmengine.registry import DATASETS

from normreg_plugins.crowd.data.images import MEAN_COLOUR
from normreg_plugins.hosts.mmengine.crowd import CrowdRandomCrop

pytestmark = pytest.mark.mm


def test_a_data_set_gives_whole_pictures_and_crops(prepared):
    pipeline = [{"type": "CrowdLoad"}, {"type": "CrowdPack"}]
    build = {"type": "UCFQNRF", "data_root": str(prepared), "ann_file": "test.json", "pipeline": pipeline}
    dataset = DATASETS.build(build)
    assert len(dataset) == 2
    assert dataset.metainfo["dataset"] == "UCF-QNRF"
    item, record = dataset[1], json.loads((prepared / "test.json").read_text())["images"][1]
    sample = item["data_samples"]
    assert item["inputs"].shape == (3, record["height"], record["width"])
    assert item["inputs"].dtype == torch.uint8
    assert (sample.name, sample.count) == (record["name"], record["count"])
    assert len(sample.points) == len(sample.targets) == record["count"]
    assert sample.shorter_side == 64

    pipeline.insert(1, {"type": "CrowdRandomCrop", "size": 40})
    dataset = DATASETS.build({**build, "pipeline": pipeline})
    assert dataset[0]["inputs"].shape == (3, 40, 40)


def test_lost_files_are_named(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    build = {"type": "UCFQNRF", "data_root": str(copy), "ann_file": "train.json", "pipeline": []}
    (copy / "train" / "img_0002.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 files that are missing, e\.g\. .*img_0002\.npy"):
        DATASETS.build(build)
    (copy / "train.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"is missing; run python tools/data/prepare_shanghaitech\.py"):
        DATASETS.build({**build, "type": "ShanghaiTech"})


def grid_of_people(width, height, step=10):
    y, x = np.mgrid[0:height:step, 0:width:step].reshape(2, -1) + 0.5
    distances = np.full_like(x, 8.0)
    return np.stack([x, y, distances], axis=1).astype(np.float32)


def results_of(width, height):
    """A picture in which each person's pixel says who it is."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    people = grid_of_people(width, height)
    for number, (x, y, _) in enumerate(people):
        image[int(y), int(x)] = number // 256, number % 256, 255
    return {"img": image, "people": people, "targets": np.ones(len(people), dtype=np.float32)}


@pytest.mark.parametrize("size", [(90, 70), (30, 70)])
def test_crop_and_flip_keep_people_on_their_pixels(size):
    pipeline = Compose([{"type": "CrowdRandomCrop", "size": 40}, {"type": "CrowdFlip", "prob": 0.5}])
    random.seed(0)
    for _ in range(20):
        out = pipeline(results_of(*size))
        assert out["img"].shape == (40, 40, 3)
        inside = (out["people"][:, :2] >= 0).all(1) & (out["people"][:, :2] < 40).all(1)
        for x, y, _ in out["people"][inside]:
            assert out["img"][int(y), int(x), 2] == 255
        assert (out["img"][..., 2] == 255).sum() == inside.sum()
        assert (out["targets"] >= 0.3).all()
        assert (out["targets"] <= 1).all()
        whole = ((out["people"][:, :2] > 4) & (out["people"][:, :2] < min(*size, 40) - 4)).all(1)
        assert (out["targets"][whole] == 1).all()
    people = CrowdRandomCrop(size=40, partial=False, least_visible=0.5)(results_of(*size))
    assert (people["targets"] == 1).all()


def test_a_padded_crop_shows_the_picture_and_the_mean_colour():
    out = CrowdRandomCrop(size=64)(results_of(23, 70))
    assert (out["img"][:, 23:] == MEAN_COLOUR).all()
    edge = out["people"][:, 0] == 20.5  # a head of 8 px that the picture's own edge cuts
    assert edge.any()
    assert (out["targets"][edge] < 0.9).all()
