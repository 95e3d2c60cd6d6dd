"""The drawn set in VOC's layout: what mmseg reads, what the masks say of the picture."""

from pathlib import Path

import numpy as np
import pytest

from normreg_plugins.cli.data.mini_data import drawn_masks
from normreg_plugins.cli.data.mini_data.recipe import Recipe, make_once
from normreg_plugins.cli.data.mini_data.scenes import SHAPES, draw_scene
from normreg_plugins.evaluation import IGNORED, read_mask

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
RECIPE = Recipe("segmentation", train=20, val=4, size=96)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini") / "set"
    said = make_once(folder, RECIPE, drawn_masks.draw)
    assert "20 + 4 images" in said
    return folder


def test_every_list_names_its_images_and_masks(drawn):
    for split, count in (("train", 20), ("val", 4)):
        names = (drawn / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().split()
        assert len(set(names)) == count
        for name in names:
            assert (drawn / "JPEGImages" / f"{name}.jpg").is_file()
            assert read_mask(drawn / "SegmentationClass" / f"{name}.png").shape == (96, 96)
    masks = [read_mask(path) for path in (drawn / "SegmentationClass").iterdir()]
    assert set(np.unique(masks)) == {0, 1, 2, 3, IGNORED}


def test_shapes_have_their_class_and_a_border_of_one_pixel_that_is_ignored():
    for seed in range(10):
        scene = draw_scene(np.random.default_rng(seed), 96)
        labels = drawn_masks.label_map(scene)
        for thing in scene.things:
            assert (labels[thing.mask] == thing.label + 1).all()
        for y, x in zip(*np.nonzero(labels == IGNORED), strict=True):
            around = labels[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            assert ((around > 0) & (around != IGNORED)).any()
        for y, x in zip(*np.nonzero(labels == 0), strict=True):
            around = labels[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            assert set(np.unique(around)) <= {0, IGNORED}


@pytest.mark.mm
def test_the_mini_configs_read_it(drawn):
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from normreg_plugins.cli.preflight.check import problems_of

    cfg = Config.fromfile(CONFIGS / "mini" / "deeplabv3_wd.py")
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.data_root = str(drawn)
    assert problems_of(cfg) == []
    init_default_scope("mmseg")
    from mmseg.registry import DATASETS

    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    sample = dataset[3]
    assert sample["inputs"].shape == (3, 96, 96)
    assert sample["data_samples"].gt_sem_seg.data.shape == (1, 96, 96)
    assert dataset.metainfo["classes"] == ("background", *SHAPES)
