"""What the prepare_* commands write: boxes, masks, points, classes and splits."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import layouts
from scipy.io import savemat

from normreg_plugins.cli.data import prepare_boxes, prepare_crowds, prepare_masks
from normreg_plugins.cli.data.drawn_shapes import label_map
from normreg_plugins.evaluation.segmentation import IGNORED, read_mask


@pytest.fixture
def prepare(prepare):
    """Run a command with --any-counts; its exit code, stdout and stderr."""

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        done = prepare(name, *arguments, "--any-counts")
        return done.code, done.out, done.err

    return run


def read(path: str | Path) -> dict:
    return json.loads(Path(path).read_text())


def names(split: str, folder: str = "out") -> list[str]:
    return [record["name"] for record in read(Path(folder, f"{split}.json"))["images"]]


def test_bccd_becomes_coco_and_yolo(prepare):
    layouts.bccd(Path("raw"))
    code, out, _ = prepare("bccd", "raw", "out")
    assert code == 0
    coco = read("out/annotations/train.json")
    assert [category["name"] for category in coco["categories"]] == ["RBC", "WBC", "Platelets"]
    assert [(i["id"], i["file_name"], i["width"], i["height"]) for i in coco["images"]] == [
        (1, "a.jpg", 40, 30),
        (2, "c.jpg", 40, 30),
    ]
    found = [(box["id"], box["image_id"], box["category_id"], box["bbox"], box["area"]) for box in coco["annotations"]]
    assert found == [
        (1, 1, 1, [2, 3, 10, 6], 60),
        (2, 1, 2, [20, 10, 19, 19], 361),
        (3, 2, 1, [0, 0, 40, 12], 480),
    ]
    assert Path("out/labels/train/a.txt").read_text().splitlines() == [
        "0 0.175000 0.200000 0.250000 0.200000",
        "1 0.737500 0.650000 0.475000 0.633333",
    ]
    assert Path("out/images/test/d.jpg").read_bytes() == Path("raw/JPEGImages/d.jpg").read_bytes()
    assert "train: 1 boxes cut at the edge" in out
    assert "train: 1 boxes without area, left out" in out
    assert "val: 1 images, 0 RBC, 0 WBC, 1 Platelets" in out


@pytest.mark.ultralytics
def test_ultralytics_reads_another_set_whose_classes_are_sorted(prepare):
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    layouts.bccd(Path("raw"))
    Path("raw/Annotations/b.xml").write_text(layouts.annotation([("ant", (5, 5, 9, 9))]))
    prepare("bccd", "raw", "out")
    data = check_det_dataset(str(Path("out/data.yaml").resolve()), autodownload=False)
    dataset = YOLODataset(img_path=data["train"], data=data, augment=False, imgsz=64)
    assert [label["cls"].flatten().tolist() for label in dataset.labels] == [[0, 1], [0]]
    assert data["names"] == {0: "RBC", 1: "WBC", 2: "ant"}


def test_camvid_masks_stay_and_void_is_ignored(prepare):
    layouts.camvid(Path("raw"))
    assert prepare("camvid", "raw", "out")[0] == 0
    for split, some in layouts.SPLITS.items():
        for name in some:
            before, after = layouts.labels(name), read_mask(Path(f"out/ann_dir/{split}/{name}.png"))
            np.testing.assert_array_equal(after, np.where(before == 11, IGNORED, before))
            assert Path(f"out/img_dir/{split}/{name}.png").read_bytes() == Path(f"raw/{split}/{name}.png").read_bytes()


@pytest.mark.mm
def test_coco2014_trains_on_every_labelled_image_that_is_not_held_out(prepare):
    root = Path("raw")
    layouts.coco2014(root, train=5, val=5, held_out=2)
    path = root / "annotations/instances_train2014.json"
    coco = read(path)
    unlabelled = coco["images"][0]["id"]
    coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] != unlabelled]
    path.write_text(json.dumps(coco))
    code, out, _ = prepare("coco2014", "--root", root)
    assert (code, "the paper says 117263" in out) == (0, True)
    train, val = read(root / "annotations/instances_trainvalno5k.json"), read(root / "annotations/instances_5k.json")
    held_out = {f"val2014/{Path(line).name}" for line in (root / "5k.txt").read_text().split()}
    assert {image["file_name"] for image in val["images"]} == held_out
    assert len(train["images"]) == 4 + 3
    for part in (train, val):
        ids = {image["id"] for image in part["images"]}
        assert {a["image_id"] for a in part["annotations"]} <= ids - {unlabelled}
        assert all((root / image["file_name"]).is_file() for image in part["images"])


def test_the_official_counts_are_the_papers():
    train, val, held_out = prepare_boxes.COCO_COUNTS["COCO 2014"]
    assert (train + val - held_out, prepare_boxes.LABELLED) == (118_287, 117_263)
    train, val, aug = prepare_masks.VOC_COUNTS["the augmented set"]
    assert (train + aug, val) == (10_582, 1_449)


VOC, SBD = Path("raw/VOCdevkit/VOC2012"), Path("raw/benchmark_RELEASE/dataset")


def test_voc_gets_the_masks_of_what_it_neither_trains_nor_validates_on(prepare):
    layouts.voc_aug(Path("raw"), train=3, val=1, added=3)
    code, out, _ = prepare("voc_aug", "--voc", VOC, "--sbd", SBD)
    added = [f"2008_{index:06d}" for index in (4, 5, 6)]
    assert (VOC / "ImageSets/Segmentation/aug.txt").read_text().split() == added
    masks = VOC / "SegmentationClassAug"
    assert sorted(path.stem for path in masks.glob("*.png")) == added
    for index, name in enumerate(added, start=4):
        np.testing.assert_array_equal(read_mask(masks / f"{name}.png"), label_map(layouts.scene(index)))
    assert (code, "6 images to train on" in out) == (0, True)


def test_tiny_imagenet_is_linked_with_lists_that_mmpretrain_reads(prepare):
    layouts.tinyimagenet(Path("raw"))
    code, out, _ = prepare("tinyimagenet", "raw", "out")
    assert (code, "4 training and 2 validation images of 2 classes" in out) == (0, True)
    train = Path("out/train.txt").read_text().splitlines()
    assert train[0] == "n01/images/n01_0.JPEG 0"
    assert [line.split()[1] for line in train] == ["0", "0", "1", "1"]
    assert Path("out/val.txt").read_text().splitlines() == ["val_0.JPEG 1", "val_1.JPEG 0"]
    assert all(Path("out/train", line.split()[0]).is_file() for line in train)


SIDES = ("--sides", 64, 128, "--workers", 1)


def test_qnrf_holds_out_a_validation_set_and_reports(prepare):
    layouts.qnrf(Path("raw"))
    savemat("raw/Train/img_0003_ann.mat", {"annPoints": [[5.0, 5.0], [5.0, 5.0], [500.0, 5.0]]})
    code, out, err = prepare("qnrf", "raw", "out", "--val", 2, *SIDES)
    assert code == 0, err
    assert sorted(names("train") + names("val")) == [f"img_{number:04d}" for number in range(1, 7)]
    assert (len(names("val")), names("test")) == (2, ["img_0001", "img_0002"])
    assert re.search(r"odd: points outside: 1 in 1 images, e\.g\. (train|val)/img_0003", out)
    assert "odd: duplicate points: 1 in 1 images" in out
    code, _, err = prepare("qnrf", "raw", "out", "--val", 3, *SIDES)
    assert (code, "prepared with other settings or images (images)" in err) == (2, True)


def test_a_published_split_is_taken_from_lists(prepare):
    layouts.qnrf(Path("raw"))
    Path("train.txt").write_text("img_0005.jpg\nimg_0001.jpg\n\n")
    Path("val.txt").write_text("img_0003\n")
    arguments = ("raw", "out", *SIDES, "--lists", "train.txt", "val.txt")
    assert prepare("qnrf", *arguments)[0] == 0
    assert (names("train"), names("val")) == (["img_0005", "img_0001"], ["img_0003"])
    for text, message in (
        ("img_0001\n", "in both lists, e.g. img_0001"),
        ("img_9999\n", "1 unknown images, e.g. img_9999"),
        ("img_0002\nimg_0002.jpg\n", "names an image twice"),
    ):
        Path("val.txt").write_text(text)
        code, _, err = prepare("qnrf", *arguments)
        assert (code, message in err) == (2, True)
    for option, message in (
        (("--val", 6), "there are 6 training images"),
        (("--sides", 99, 64), "bounds of the shorter side must be"),
    ):
        code, _, err = prepare("qnrf", "raw", "other", *option)
        assert (code, message in err, Path("other").exists()) == (2, True, False)


def test_mbm_dots_become_points(prepare):
    layouts.mbm(Path("raw"))
    assert prepare("mbm", "raw", "out", "--val", 2, "--sides", 72, 72, "--workers", 1)[0] == 0
    records = {
        record["name"]: record for split in ("train", "val", "test") for record in read(f"out/{split}.json")["images"]
    }
    assert [len(names(split)) for split in ("train", "val", "test")] == [4, 2, 3]
    assert [records[name]["count"] for name in sorted(records)] == [*range(5, 14)]
    first = np.load(Path("out", records["BM_0000_01_000"]["picture"]).with_suffix(".npy"), allow_pickle=False)
    assert sorted(map(tuple, first[:, :2].tolist())) == sorted(layouts.dots(5))

    prepare("mbm", "raw", "other", "--val", 2, "--sides", 72, 72, "--workers", 1, "--seed", 1)
    assert (names("test") == names("test", "other"), names("val") == names("val", "other")) == (True, False)


def test_pixels_of_a_dot_mask_that_touch_are_one_dot(tmp_path):
    for dots, centres in (([(10, 20), (11, 21), (60, 5)], [(10.5, 20.5), (60.0, 5.0)]), ([], [])):
        layouts.dot_mask(tmp_path / "dots.png", dots)
        assert sorted(map(tuple, prepare_crowds.read_dots(tmp_path / "dots.png").tolist())) == centres
