"""tools/data/prepare_mbm.py on drawn dots in the layout of Count-ception's MBM_data."""

import json

import numpy as np
import pytest
from helpers import public_layouts as drawn

from normreg_plugins.cli.data import prepare_mbm

SMALL = ("--any-counts", "--val", 2, "--sides", 36, 64, "--workers", 1)


@pytest.fixture
def raw(tmp_path):
    return drawn.mbm(tmp_path / "raw")


def index(out, split):
    return json.loads((out / f"{split}.json").read_text())["images"]


def test_dots_become_points(tool, raw, tmp_path):
    out = tmp_path / "out"
    done = tool("data/prepare_mbm.py", raw, out, "--any-counts", "--val", 2, "--sides", 72, 72, "--workers", 1)
    assert done.returncode == 0, done.stderr
    records = {record["name"]: record for split in ("train", "val", "test") for record in index(out, split)}
    assert [len(index(out, split)) for split in ("train", "val", "test")] == [4, 2, 3]
    assert [records[name]["count"] for name in sorted(records)] == [*range(5, 14)]
    first = np.load(out / records["BM_0000_01_000"]["picture"].replace(".png", ".npy"), allow_pickle=False)
    assert sorted(map(tuple, first[:, :2].tolist())) == sorted(drawn.dots(5))
    assert (out / "contact_sheet.png").stat().st_size > 5_000


def test_pixels_that_touch_are_one_dot(tmp_path):
    drawn.dot_mask(tmp_path / "dots.png", [(10, 20), (11, 21), (40, 50), (60, 5)])
    points = prepare_mbm.read_dots(tmp_path / "dots.png")
    assert sorted(map(tuple, points.tolist())) == [(10.5, 20.5), (40.0, 50.0), (60.0, 5.0)]
    drawn.dot_mask(tmp_path / "none.png", [])
    assert prepare_mbm.read_dots(tmp_path / "none.png").shape == (0, 2)


def test_the_test_pictures_do_not_depend_on_the_seed(tool, raw, tmp_path):
    sets = {}
    for seed in (0, 1):
        tool("data/prepare_mbm.py", raw, tmp_path / str(seed), *SMALL, "--seed", seed)
        sets[seed] = {s: {r["name"] for r in index(tmp_path / str(seed), s)} for s in ("train", "val", "test")}
    assert sets[0]["test"] == sets[1]["test"]
    assert sets[0]["val"] != sets[1]["val"]


def test_damaged_masks_are_named_and_the_next_run_takes_them_up(tool, raw, tmp_path):
    mask, lost = raw / "BM_0000_01_dots_001.png", raw / "BM_0001_01_dots_002.png"
    before = mask.read_bytes(), lost.read_bytes()
    mask.write_bytes(before[0][:-40])
    lost.unlink()
    done = tool("data/prepare_mbm.py", raw, tmp_path / "out", *SMALL)
    assert done.returncode == 1
    assert "BM_0000_01_dots_001.png: cannot be read as a mask of dots" in done.stderr
    assert "BM_0001_01_dots_002.png: no mask of dots there; get it again from" in done.stderr
    assert sum(len(index(tmp_path / "out", split)) for split in ("train", "val", "test")) == 7

    mask.write_bytes(before[0])
    lost.write_bytes(before[1])
    assert tool("data/prepare_mbm.py", raw, tmp_path / "out", *SMALL).returncode == 0
    assert sum(len(index(tmp_path / "out", split)) for split in ("train", "val", "test")) == 9


def test_what_is_no_mbm_is_refused(tool, raw, tmp_path):
    refused = tool("data/prepare_mbm.py", raw, tmp_path / "out", "--workers", 1)
    assert refused.returncode == 2
    assert "6 training and 3 test images; MBM has 29 and 15" in refused.stderr
    nothing = tool("data/prepare_mbm.py", tmp_path, tmp_path / "out")
    assert nothing.returncode == 2
    assert "it is not the folder MBM_data" in nothing.stderr


@pytest.mark.mm
def test_the_config_reads_what_was_made(tool, raw, tmp_path):
    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope

    import normreg_plugins  # noqa: F401  registers the data set

    tool("data/prepare_mbm.py", raw, tmp_path / "out", *SMALL)
    cfg = Config.fromfile("configs/small/csrnet_wd_mbm.py")
    init_default_scope(cfg.default_scope)
    for settings, number in ((cfg.val_dataloader.dataset, 2), (cfg.test_dataloader.dataset, 3)):
        dataset = DATASETS.build({**settings, "data_root": str(tmp_path / "out")})
        assert len(dataset) == number
        assert len(dataset[0]["data_samples"].points) == dataset[0]["data_samples"].count
    train = cfg.train_dataloader.dataset
    train.dataset.data_root = str(tmp_path / "out")
    assert len(DATASETS.build(train)) == 8 * 4
