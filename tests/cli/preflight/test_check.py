"""Every path that is missing is named once, with the way out; class counts fit; nothing else is refused."""

import json

import pytest

pytest.importorskip("mmengine")

from helpers.mm_toy import config as toy
from helpers.mm_toy import train

from normreg_plugins.cli.preflight.check import PreflightError, check, problems_of

pytestmark = pytest.mark.mm
WRS = {"type": "WRS", "interval": 4}


@pytest.fixture
def data(tmp_path):
    """A data set whose files are there and hold nothing; its root."""
    (tmp_path / "images").mkdir()
    (tmp_path / "ann.json").touch()
    return tmp_path


def keys_of(cfg, phases=("train", "val")):
    return sorted(key for problem in problems_of(cfg, phases) for key in problem.keys)


@pytest.mark.parametrize(
    ("dataset", "keys"),
    [
        ({}, []),  # the files are there, and are not read
        ({"ann_file": "other.json"}, ["ann_file"]),
        ({"data_prefix": {"img_path": "images", "seg_map_path": "maps"}}, ["data_prefix.seg_map_path"]),
        ({"data_prefix": "train"}, ["data_prefix"]),
        ({"data_root": "nowhere"}, ["data_root"]),
        ({"data_root": "s3://bucket/coco"}, []),
        ({"ann_file": "s3://bucket/ann.json", "data_prefix": {"img": "s3://bucket/images"}}, []),
        ({"data_root": "nowhere", "backend_args": {"backend": "petrel"}}, []),
        ({"data_root": "", "ann_file": "{data}/ann.json", "data_prefix": {"img": "{data}/images"}}, []),
    ],
)
def test_a_missing_path_is_named_by_its_key_unless_it_is_remote(data, dataset, keys):
    there = {"type": "CocoDataset", "data_root": str(data), "ann_file": "ann.json", "data_prefix": {"img": "images"}}
    dataset = json.loads(json.dumps(dataset).replace("{data}", str(data)))
    found = keys_of({"train_dataloader": {"dataset": {**there, **dataset}}})
    assert found == [f"train_dataloader.dataset.{key}" for key in keys]


def test_a_missing_root_is_one_problem_with_every_key_that_asks_for_it(tmp_path):
    dataset = {"type": "CocoDataset", "data_root": str(tmp_path / "nowhere")}
    inner = {"type": "RepeatDataset", "times": 3, "dataset": dataset}
    concat = {"type": "ConcatDataset", "datasets": [inner]}
    cfg = {"train_dataloader": {"dataset": dataset}, "val_dataloader": {"dataset": concat}}
    (problem,) = problems_of(cfg)
    inside = "val_dataloader.dataset.datasets.0.dataset.data_root"
    assert problem.keys == ("train_dataloader.dataset.data_root", inside)
    with pytest.raises(PreflightError, match="nowhere does not exist"):
        check(cfg)


def test_an_evaluator_with_a_path_of_its_own_is_checked(data):
    cfg = {"val_evaluator": [{"type": "CocoMetric", "ann_file": str(data / "gone.json")}]}
    assert keys_of(cfg) == ["val_evaluator.0.ann_file"]
    cfg["val_evaluator"][0]["ann_file"] = str(data / "ann.json")
    assert problems_of(cfg) == []


def classes(model, dataset="CocoDataset", scope="mmdet", **more):
    return {"default_scope": scope, "model": model, "train_dataloader": {"dataset": {"type": dataset, **more}}}


ROI = {"roi_head": {"bbox_head": [{"num_classes": 80}]}}
CITIES = ("CityscapesDataset", "mmseg")


@pytest.mark.parametrize(
    ("cfg", "wrong"),
    [
        (classes({"bbox_head": {"num_classes": 80}}), None),
        (classes({"bbox_head": {"num_classes": 3}}), "80 classes, but model.bbox_head"),
        (classes(ROI, "CocoPanopticDataset"), None),
        (classes(ROI, metainfo={"classes": ("a", "b")}), "2 classes, but model.roi_head.bbox_head.0.num_classes is 80"),
        (classes({"language_model": {}, "bbox_head": {"num_classes": 256}}), None),
        (classes({"decode_head": {"num_classes": 19}}, *CITIES), None),
        (classes({"decode_head": {"num_classes": 21}}, *CITIES), "19 classes, but model.dec"),
    ],
)
def test_class_counts_that_do_not_fit_are_named(cfg, wrong):
    pytest.importorskip(cfg["default_scope"])
    found = [problem.what for problem in problems_of(cfg, ("train",))]
    assert len(found) == (wrong is not None)
    assert all(wrong in each for each in found)


def model_from(checkpoint, kind="Pretrained"):
    return {"model": {"backbone": {"init_cfg": {"type": kind, "checkpoint": checkpoint}}}}


def test_weights_in_a_file_must_be_there_for_training(tmp_path):
    path = tmp_path / "mine.pth"
    for kind in ("Pretrained", "NormRegPretrained"):
        assert keys_of(model_from(str(path), kind)) == ["model.backbone.init_cfg.checkpoint"]
    assert keys_of(model_from(str(path)), ("test",)) == []
    path.touch()
    assert problems_of(model_from(str(path))) == []
    assert keys_of({"load_from": "gone.pth"}) == ["load_from"]
    assert keys_of({"model": {"pretrained": "gone.pth", "neck": [{"pretrained": None}]}}) == ["model.pretrained"]
    for address in ("petrel://bucket/x.pth", "torchvision://resnet18"):  # mm gets them itself
        assert problems_of(model_from(address)) == []


def test_resuming_a_run_with_a_method_without_one_is_refused(tmp_path):
    """mmengine itself would only say that the number of parameter groups differs."""
    check(toy(tmp_path, resume=True))  # there is no checkpoint yet, so the run starts
    train(tmp_path, WRS, "hook", **{"train_cfg.max_epochs": 1})
    with pytest.raises(PreflightError, match=r"epoch_1\.pth was trained with a method, and this config has none"):
        check(toy(tmp_path, resume=True))
    check(toy(tmp_path, load_from=str(tmp_path / "epoch_1.pth")))
    for same_by in ("constructor", "hook"):
        check(toy(tmp_path, WRS, same_by, resume=True))
    (tmp_path / "epoch_1.pth").unlink()
    with pytest.raises(PreflightError, match=r"epoch_1\.pth does not exist, and .*last_checkpoint says"):
        check(toy(tmp_path, WRS, "hook", resume=True))
