"""Every kind of missing or broken input is found, named once, and nothing else is."""

import json

import pytest
import torch

from normreg_plugins.cli.preflight.check import PreflightError, check, problems_of
from normreg_plugins.cli.preflight.coco_annotations import coco_faults

pytestmark = pytest.mark.mm


def coco():
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 64, "height": 64},
            {"id": 8, "file_name": "sub/b.png", "width": 64, "height": 64},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12},
            {"id": 2, "image_id": 8, "category_id": 4, "bbox": [1, 2, 3.5, 4], "area": 14},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
    }


@pytest.fixture
def data(tmp_path):
    """A whole little set; returns its root."""
    (tmp_path / "images" / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png"):
        (tmp_path / "images" / name).write_bytes(b"pixels")
    (tmp_path / "ann.json").write_text(json.dumps(coco()))
    return tmp_path


def config(root, **dataset):
    leaf = {
        "type": "CocoDataset",
        "data_root": str(root),
        "ann_file": "ann.json",
        "data_prefix": {"img": "images"},
        **dataset,
    }
    return {"train_dataloader": {"dataset": leaf}}


def keys_of(cfg, phases=("train", "val")):
    return sorted(key for problem in problems_of(cfg, phases) for key in problem.keys)


def test_a_whole_set_has_no_problems(data):
    assert problems_of(config(data)) == []
    check(config(data))


def test_a_missing_root_is_one_problem_with_every_key_that_asks_for_it(tmp_path):
    cfg = config(tmp_path / "nowhere")
    cfg["val_dataloader"] = cfg["train_dataloader"]
    (problem,) = problems_of(cfg)
    assert problem.keys == (
        "train_dataloader.dataset.data_root",
        "val_dataloader.dataset.data_root",
    )
    with pytest.raises(PreflightError, match="nowhere does not exist"):
        check(cfg)


@pytest.mark.parametrize(
    ("dataset", "key"),
    [
        ({"ann_file": "other.json"}, "ann_file"),
        ({"data_prefix": {"img": "pictures"}}, "data_prefix.img"),
        (
            {"data_prefix": {"img_path": "images", "seg_map_path": "maps"}},
            "data_prefix.seg_map_path",
        ),
    ],
)
def test_a_missing_file_or_folder_is_named_by_its_key(data, dataset, key):
    assert keys_of(config(data, **dataset)) == [f"train_dataloader.dataset.{key}"]


def test_datasets_inside_wrappers_are_found(data):
    whole = config(data)["train_dataloader"]["dataset"]
    lost = {**whole, "ann_file": "lost.json"}
    repeat = {"type": "RepeatDataset", "times": 3, "dataset": lost}
    concat = {"type": "ConcatDataset", "datasets": [whole, repeat]}
    key = "train_dataloader.dataset.datasets.1.dataset.ann_file"
    assert keys_of({"train_dataloader": {"dataset": concat}}) == [key]


def test_paths_that_are_absolute_or_remote_are_taken_as_mm_takes_them(data):
    absolute = {"ann_file": str(data / "ann.json"), "data_root": "", "data_prefix": {}}
    absolute["data_prefix"] = {"img": str(data / "images")}
    assert problems_of(config(data, **absolute)) == []
    for remote in (
        {"data_root": "s3://bucket/coco"},
        {"ann_file": "s3://bucket/ann.json", "data_prefix": {"img": "s3://bucket/images"}},
        {"data_root": "nowhere", "backend_args": {"backend": "petrel"}},
    ):
        assert problems_of(config(data, **remote)) == []


def test_an_evaluator_with_a_path_of_its_own_is_checked(data):
    cfg = {"val_evaluator": [{"type": "CocoMetric", "ann_file": str(data / "gone.json")}]}
    assert keys_of(cfg) == ["val_evaluator.0.ann_file"]
    cfg["val_evaluator"][0]["ann_file"] = str(data / "ann.json")
    assert problems_of(cfg) == []


def test_only_the_phases_asked_for_are_checked(tmp_path):
    cfg = config(tmp_path / "nowhere")
    cfg["model"] = {"init_cfg": {"type": "Pretrained", "checkpoint": "lost.pth"}}
    assert keys_of(cfg, ("test",)) == []
    assert len(keys_of(cfg, ("train",))) == 2


def broken(change):
    content = coco()
    change(content)
    return content


BROKEN = {
    "the list 'annotations' is missing": lambda c: c.pop("annotations"),
    "the list 'images' is no list": lambda c: c.update(images={"7": {}}),
    "the list 'categories' is empty": lambda c: c.update(categories=[]),
    r"images\[1\] \(id 8\) lacks file_name, width": lambda c: [
        c["images"][1].pop(key) for key in ("file_name", "width")
    ],
    r"annotations\[1\] \(id 2\) lacks area": lambda c: c["annotations"][1].pop("area"),
    r"annotations\[0\] is no object but 'x'": lambda c: c["annotations"].__setitem__(0, "x"),
    r"bbox \[1, 2, 3\], not 4 numbers": lambda c: c["annotations"][0].update(bbox=[1, 2, 3]),
    "1 ids in annotations occur more than once": lambda c: c["annotations"][1].update(id=1),
    "1 annotations, e.g. id 2, have an image_id not in images": lambda c: c["annotations"][1].update(image_id=99),
    "e.g. id 1, have an category_id not in categories": lambda c: c["annotations"][0].update(category_id=99),
    r"1 of 2 images are missing, e.g. .*gone.png": lambda c: c["images"][0].update(file_name="gone.png"),
    r"2 of 2 images are missing.*none/a.png": lambda c: [
        image.update(file_name=f"none/{name}") for image, name in zip(c["images"], ("a.png", "b.png"), strict=True)
    ],
}


@pytest.mark.parametrize("words", BROKEN)
def test_a_broken_annotation_file_is_named_with_its_fault(data, words):
    (data / "ann.json").write_text(json.dumps(broken(BROKEN[words])))
    with pytest.raises(PreflightError, match=words) as caught:
        check(config(data))
    assert "ann.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps(coco())[:200], "no valid JSON, perhaps cut off"),
        ("", "no valid JSON"),
        ("[]", "this one is a list"),
    ],
)
def test_what_is_no_annotation_file_is_named(data, text, words):
    (data / "ann.json").write_text(text)
    with pytest.raises(PreflightError, match=words):
        check(config(data))


def test_bytes_that_are_no_text_are_named(data):
    (data / "ann.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(PreflightError, match="no valid JSON"):
        check(config(data))


def test_classes_that_the_file_does_not_have_are_named(data):
    assert problems_of(config(data, metainfo={"classes": ("dog", "cat")})) == []
    with pytest.raises(PreflightError, match="no category bird; it has cat, dog"):
        check(config(data, metainfo={"classes": ("dog", "bird")}))


def test_faults_are_found_without_a_host(data):
    assert coco_faults(data / "ann.json", data / "images") == []


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def model_from(checkpoint):
    return {"model": {"backbone": {"init_cfg": {"type": "Pretrained", "checkpoint": checkpoint}}}}


@pytest.mark.parametrize(
    ("checkpoint", "file"),
    [
        ("open-mmlab://darknet53", "darknet53-a628ea1b.pth"),
        ("torchvision://resnet18", "resnet18-"),
        ("https://example.com/models/some.pth", "some.pth"),
    ],
)
def test_weights_that_mm_would_download_are_looked_for_where_it_keeps_them(hub, checkpoint, file):
    (problem,) = problems_of(model_from(checkpoint))
    assert problem.keys == ("model.backbone.init_cfg.checkpoint",)
    assert str(hub / file) in problem.what
    assert "curl" in problem.get
    cached = hub / problem.what.rsplit("/", 1)[-1]
    torch.save({"weight": torch.ones(2)}, cached)
    assert problems_of(model_from(checkpoint)) == []


def test_weights_in_a_file_are_checked_and_a_torn_one_is_named(tmp_path):
    path = tmp_path / "mine.pth"
    assert keys_of(model_from(str(path))) == ["model.backbone.init_cfg.checkpoint"]
    torch.save({"weight": torch.ones(1000)}, path)
    assert problems_of(model_from(str(path))) == []
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PreflightError, match="one that was cut off"):
        check(model_from(str(path)))
    torch.save({"weight": torch.ones(9)}, path, _use_new_zipfile_serialization=False)
    assert problems_of(model_from(str(path))) == []


@pytest.mark.usefixtures("hub")
def test_load_from_and_old_style_pretrained_are_checked():
    assert keys_of({"load_from": "gone.pth"}) == ["load_from"]
    model = {"model": {"pretrained": "torchvision://resnet18", "neck": [{"pretrained": None}]}}
    assert keys_of(model) == ["model.pretrained"]


def test_a_scheme_of_the_sites_own_is_left_to_its_loader():
    assert problems_of(model_from("petrel://bucket/x.pth")) == []
