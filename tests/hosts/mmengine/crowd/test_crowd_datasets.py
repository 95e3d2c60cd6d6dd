"""Prepared data sets in mmengine; unfinished and incomplete ones are named."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

pytest.importorskip("mmengine")
pytest.importorskip("mmcv")

from mmengine.registry import DATASETS

import normreg_plugins.hosts.mmengine  # noqa: F401

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


def test_half_prepared_and_lost_files_are_named(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    build = {"type": "UCFQNRF", "data_root": str(copy), "ann_file": "train.json", "pipeline": []}
    (copy / "train" / "img_0002.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 files that are missing, e\.g\. .*img_0002\.npy"):
        DATASETS.build(build)
    (copy / "train.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"did not finish; run python tools/data/prepare_qnrf\.py"):
        DATASETS.build(build)
    shutil.rmtree(copy)
    with pytest.raises(FileNotFoundError, match=r"missing; run python tools/data/prepare_shanghaitech\.py"):
        DATASETS.build({**build, "type": "ShanghaiTech"})
    copy.mkdir()
    (copy / "train.json").write_text('{"images": [], "left_out": []}')
    with pytest.raises(ValueError, match="no images"):
        DATASETS.build(build)
