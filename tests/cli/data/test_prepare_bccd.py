"""tools/data/prepare_bccd.py on drawn pictures in the layout of PASCAL VOC."""

import json

import pytest
from helpers import public_layouts as drawn

from normreg_plugins.cli.data import prepare_bccd, whole_set


@pytest.fixture
def raw(tmp_path):
    return drawn.bccd(tmp_path / "raw")


@pytest.fixture
def prepare(tool, raw, tmp_path):
    return lambda *options: tool("data/prepare_bccd.py", raw, tmp_path / "out", *options)


def test_boxes_become_coco_and_yolo(prepare, tmp_path):
    done = prepare("--any-counts")
    assert done.returncode == 0, done.stderr
    coco = json.loads((tmp_path / "out/annotations/train.json").read_text())
    assert [category["name"] for category in coco["categories"]] == ["RBC", "WBC", "Platelets"]
    assert [(i["id"], i["file_name"], i["width"], i["height"]) for i in coco["images"]] == [
        (1, "a.jpg", 40, 30),
        (2, "c.jpg", 40, 30),
    ]
    found = [(box["image_id"], box["category_id"], box["bbox"], box["area"]) for box in coco["annotations"]]
    assert found == [(1, 1, [2, 3, 10, 6], 60), (1, 2, [20, 10, 19, 19], 361), (2, 1, [0, 0, 40, 12], 480)]
    assert (tmp_path / "out/labels/train/a.txt").read_text().splitlines() == [
        "0 0.175000 0.200000 0.250000 0.200000",
        "1 0.737500 0.650000 0.475000 0.633333",
    ]
    assert (tmp_path / "out/images/test/d.jpg").is_file()
    assert (tmp_path / "out/contact_sheet.png").stat().st_size > 5_000
    assert "train: 1 boxes cut at the edge" in done.stdout
    assert "train: 1 boxes without area, left out" in done.stdout
    assert "val: 1 images, 0 RBC, 0 WBC, 1 Platelets" in done.stdout


@pytest.mark.mm
def test_mmdet_reads_what_was_made(prepare, tmp_path):
    from mmdet.registry import DATASETS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    prepare("--any-counts")
    cfg = Config.fromfile("configs/small/yolov3_wd_bccd.py")
    init_default_scope(cfg.default_scope)
    for loader, number in ((cfg.train_dataloader, 2), (cfg.val_dataloader, 1), (cfg.test_dataloader, 1)):
        dataset = DATASETS.build({**loader.dataset, "data_root": str(tmp_path / "out")})
        assert len(dataset) == number
        assert dataset[0]["data_samples"].gt_instances.labels.numel() > 0


@pytest.mark.ultralytics
def test_ultralytics_reads_what_was_made(prepare, tmp_path):
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    prepare("--any-counts")
    data = check_det_dataset(str(tmp_path / "out/data.yaml"), autodownload=False)
    assert data["names"] == {0: "RBC", 1: "WBC", 2: "Platelets"}
    dataset = YOLODataset(img_path=data["train"], data=data, augment=False, imgsz=64)
    assert [label["cls"].flatten().tolist() for label in dataset.labels] == [[0, 1], [0]]


def test_another_set_has_its_classes_sorted(prepare, raw, tmp_path):
    (raw / "Annotations/b.xml").write_text(drawn.annotation([("ant", (5, 5, 9, 9))]))
    assert prepare("--any-counts").returncode == 0
    assert (tmp_path / "out/data.yaml").read_text().endswith("names:\n  0: RBC\n  1: WBC\n  2: ant\n")


def test_other_counts_are_refused(prepare, tmp_path):
    refused = prepare()
    assert refused.returncode == 2
    assert "2 training, 1 validation and 1 test images; the official set has 205, 87 and 72" in refused.stderr
    assert "--any-counts" in refused.stderr
    assert not (tmp_path / "out").exists()


def tear_a_picture(raw):
    path = raw / "JPEGImages/c.jpg"
    path.write_bytes(path.read_bytes()[:-200])


def tear_an_annotation(raw):
    path = raw / "Annotations/c.xml"
    path.write_text(path.read_text()[:-20])


def lose_a_corner(raw):
    path = raw / "Annotations/c.xml"
    path.write_text(path.read_text().replace("<xmin>7</xmin>", ""))


def lose_a_name(raw):
    path = raw / "Annotations/c.xml"
    path.write_text(path.read_text().replace("<name>RBC</name>", "", 1))


BROKEN = {
    "c.jpg cannot be read as a picture": tear_a_picture,
    "c.jpg is missing": lambda raw: (raw / "JPEGImages/c.jpg").unlink(),
    "c.xml is no annotation of PASCAL VOC, or was cut off": tear_an_annotation,
    "c.xml is no annotation": lose_a_corner,
    "an object has no name": lose_a_name,
    "c.xml is missing": lambda raw: (raw / "Annotations/c.xml").unlink(),
    "c.xml is for an image of 50 x 30 pixels, its picture has 40 x 30": lambda raw: (
        raw / "Annotations/c.xml"
    ).write_text(drawn.annotation([], width=50)),
    "train and test share 1 images, e.g. a": lambda raw: (raw / "ImageSets/Main/test.txt").write_text("a\n"),
    "test.txt is missing": lambda raw: (raw / "ImageSets/Main/test.txt").unlink(),
}


@pytest.mark.parametrize("words", BROKEN)
def test_what_is_damaged_is_named_and_nothing_is_written(prepare, raw, tmp_path, words):
    BROKEN[words](raw)
    refused = prepare("--any-counts")
    assert refused.returncode == 2
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "out").exists()


def test_all_damaged_files_are_named_at_once_with_the_way_out(prepare, raw):
    tear_a_picture(raw)
    (raw / "Annotations/b.xml").unlink()
    said = prepare("--any-counts").stderr
    assert "c.jpg" in said
    assert "b.xml" in said
    assert "2 files are missing or damaged" in said
    assert "github.com/Shenggan" in said


def test_a_run_that_was_killed_leaves_nothing_and_the_next_makes_the_same(prepare, tool, raw, tmp_path, monkeypatch):
    assert prepare("--any-counts").returncode == 0
    whole = {p.relative_to(tmp_path / "out"): p.read_bytes() for p in (tmp_path / "out").rglob("*.*")}

    with monkeypatch.context() as patch:
        copy, copied = prepare_bccd.shutil.copyfile, []

        def stop_at_the_second(*paths):
            if copied:
                raise KeyboardInterrupt
            copied.append(copy(*paths))

        patch.setattr(prepare_bccd.shutil, "copyfile", stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            tool("data/prepare_bccd.py", raw, tmp_path / "again", "--any-counts")
    assert not (tmp_path / "again").exists()
    assert (tmp_path / ".unfinished-again").is_dir()

    assert tool("data/prepare_bccd.py", raw, tmp_path / "again", "--any-counts").returncode == 0
    assert not (tmp_path / ".unfinished-again").exists()
    assert {p.relative_to(tmp_path / "again"): p.read_bytes() for p in (tmp_path / "again").rglob("*.*")} == whole


def test_a_prepared_folder_is_left_as_it_is(prepare, raw, tmp_path):
    prepare("--any-counts")
    note = tmp_path / "out" / whole_set.NOTE
    before = note.stat().st_mtime_ns
    again = prepare("--any-counts")
    assert again.returncode == 0
    assert "already prepared, left as it is" in again.stdout
    assert note.stat().st_mtime_ns == before

    (raw / "ImageSets/Main/train.txt").write_text("a\n")
    other = prepare("--any-counts")
    assert other.returncode == 2
    assert "was prepared from other images" in other.stderr

    note.unlink()
    strange = prepare("--any-counts")
    assert strange.returncode == 2
    assert "holds files that this command did not make" in strange.stderr
