"""tools/data/prepare_camvid.py on drawn pictures in the layout of SegNet's CamVid."""

import numpy as np
import pytest
from helpers import public_layouts as drawn
from PIL import Image

from normreg_plugins.evaluation import IGNORED, read_mask


@pytest.fixture
def raw(tmp_path):
    return drawn.camvid(tmp_path / "raw")


@pytest.fixture
def prepare(tool, raw, tmp_path):
    return lambda *options: tool("data/prepare_camvid.py", raw, tmp_path / "out", *options)


def test_masks_stay_and_void_is_ignored(prepare, raw, tmp_path):
    done = prepare("--any-counts")
    assert done.returncode == 0, done.stderr
    for split, names in drawn.SPLITS.items():
        for name in names:
            before, after = drawn.labels(name), read_mask(tmp_path / "out/ann_dir" / split / f"{name}.png")
            assert (after[before < 11] == before[before < 11]).all()
            assert (after[before == 11] == IGNORED).all()
            picture = tmp_path / "out/img_dir" / split / f"{name}.png"
            assert picture.read_bytes() == (raw / split / f"{name}.png").read_bytes()
    assert (tmp_path / "out/contact_sheet.png").stat().st_size > 5_000
    assert "train: 2 images" in done.stdout


@pytest.mark.mm
def test_mmseg_reads_what_was_made(prepare, tmp_path):
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    prepare("--any-counts")
    cfg = Config.fromfile("configs/small/deeplabv3_wd_camvid.py")
    init_default_scope(cfg.default_scope)
    for loader, number in ((cfg.train_dataloader, 2), (cfg.val_dataloader, 1), (cfg.test_dataloader, 1)):
        settings = {**loader.dataset, "data_root": str(tmp_path / "out"), "img_suffix": ".png"}
        dataset = DATASETS.build(settings)
        assert len(dataset) == number
        labels = dataset[0]["data_samples"].gt_sem_seg.data
        assert set(labels.unique().tolist()) <= {*range(11), IGNORED}
        assert len(dataset.metainfo["classes"]) == 11


def test_other_counts_are_refused(prepare, tmp_path):
    refused = prepare()
    assert refused.returncode == 2
    assert "the official set has 367, 101 and 233" in refused.stderr
    assert not (tmp_path / "out").exists()


def tear_a_mask(raw):
    path = raw / "trainannot/c.png"
    path.write_bytes(path.read_bytes()[:-300])


def tear_a_picture(raw):
    path = raw / "train/c.png"
    path.write_bytes(path.read_bytes()[:-300])


def strange_label(raw):
    Image.fromarray(np.full((drawn.HEIGHT, drawn.WIDTH), 12, dtype=np.uint8)).save(raw / "trainannot/c.png")


BROKEN = {
    "c.png cannot be read as a mask": tear_a_mask,
    "c.png is missing": lambda raw: (raw / "trainannot/c.png").unlink(),
    "c.png has the label 12; CamVid's are 0 to 11": strange_label,
    "c.png has 44 x 30 pixels, its picture 40 x 30": lambda raw: Image.fromarray(drawn.labels("c", 44)).save(
        raw / "trainannot/c.png"
    ),
    "is a picture of mode RGB": lambda raw: drawn.picture(raw / "trainannot/c.png"),
    "c.png cannot be read as a picture": tear_a_picture,
    "val and test share 1 images, e.g. b": lambda raw: drawn.picture(raw / "test/b.png"),
    "is not the folder CamVid of": lambda raw: (raw / "valannot").rename(raw / "labels"),
}


@pytest.mark.parametrize("words", BROKEN)
def test_what_is_damaged_is_named_and_nothing_is_written(prepare, raw, tmp_path, words):
    BROKEN[words](raw)
    refused = prepare("--any-counts")
    assert refused.returncode == 2
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "out").exists()
