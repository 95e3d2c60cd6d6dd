"""Every way in which images and masks do not belong together is found, named once, and nothing else is."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mmseg")

from normreg_plugins.cli.preflight.check import PreflightError, check, problems_of
from normreg_plugins.evaluation import save_mask

pytestmark = pytest.mark.mm
CLASSES = ("ground", "cat")
NAMES = ("a", "b", "c", "d")


@pytest.fixture
def root(tmp_path):
    """Four images with their masks, in VOC's layout."""
    for folder in ("JPEGImages", "SegmentationClass"):
        (tmp_path / folder).mkdir()
    for name in NAMES:
        Image.new("RGB", (6, 4)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
        save_mask(np.tile(np.array([0, 1, 255], dtype=np.uint8), (4, 2)), mask(tmp_path, name))
    (tmp_path / "train.txt").write_text("".join(f"{name}\n" for name in NAMES))
    return tmp_path


def mask(root, name):
    return root / "SegmentationClass" / f"{name}.png"


def config(root, classes=2, **dataset):
    leaf = {
        "type": "BaseSegDataset",
        "data_root": str(root),
        "metainfo": {"classes": CLASSES},
        "data_prefix": {"img_path": "JPEGImages", "seg_map_path": "SegmentationClass"},
        "ann_file": "train.txt",
        "pipeline": [{"type": "LoadImageFromFile"}],
        **dataset,
    }
    return {"model": {"decode_head": {"num_classes": classes}}, "train_dataloader": {"dataset": leaf}}


def test_a_whole_set_has_no_problems(root):
    assert problems_of(config(root)) == []


def test_a_set_without_a_list_is_every_image_of_its_folder(root):
    assert problems_of(config(root, ann_file="")) == []
    mask(root, "c").unlink()
    (problem,) = problems_of(config(root, ann_file=""))
    assert "1 of 4 masks are missing" in problem.what
    assert problem.keys == ("train_dataloader.dataset.data_root",)


def lose_image(root):
    (root / "JPEGImages" / "b.jpg").unlink()


def lose_masks(root):
    for name in "cd":
        mask(root, name).unlink()


def as_rgb(root):
    Image.new("RGB", (6, 4)).save(mask(root, "b"))


def sixteen_bits(root):
    Image.fromarray(np.zeros((4, 6), dtype=np.uint16)).save(mask(root, "b"))


def turned(root):
    save_mask(np.zeros((6, 4), dtype=np.uint8), mask(root, "d"))


def out_of_range(root):
    save_mask(np.full((4, 6), 2, dtype=np.uint8), mask(root, "a"))
    save_mask(np.full((4, 6), 21, dtype=np.uint8), mask(root, "b"))


def torn(root):
    mask(root, "c").write_bytes(mask(root, "c").read_bytes()[:-30])


def no_picture(root):
    (root / "JPEGImages" / "a.jpg").write_bytes(b"<html>")


def empty(root):
    (root / "train.txt").write_text("")


BROKEN = {
    r"train.txt: 1 of 4 images are missing, e.g. .*b\.jpg": lose_image,
    r"2 of 4 masks are missing, e.g. .*c\.png, .*d\.png": lose_masks,
    r"1 of 4 masks do not hold one 8-bit label per pixel .*b\.png \(mode RGB\)": as_rgb,
    r"do not hold one 8-bit label per pixel .*\(mode I": sixteen_bits,
    r"1 of 4 masks have another size than their image, e.g. .*d\.png \(4x6, its image 6x4\)": turned,
    r"2 of 4 masks have labels beyond the 2 classes, e.g. .*a\.png \(2\), .*b\.png \(21\)": out_of_range,
    r"1 of 4 masks or their images cannot be read, e.g. .*c\.png \(": torn,
    r"1 of 4 masks or their images cannot be read, e.g. .*a\.png \(": no_picture,
    r"train.txt lists no images": empty,
}


@pytest.mark.parametrize("words", BROKEN)
def test_what_is_broken_is_named_with_the_file(root, words):
    BROKEN[words](root)
    with pytest.raises(PreflightError, match=words) as caught:
        check(config(root))
    assert str(caught.value).count("\n- ") == 0


def test_a_head_for_other_classes_is_named(root):
    (problem,) = problems_of(config(root, classes=21))
    assert "has 2 classes, but model.decode_head.num_classes is 21" in problem.what
    cascade = config(root)
    cascade["model"]["auxiliary_head"] = [{"num_classes": 2}, {"num_classes": 19}]
    (problem,) = problems_of(cascade)
    assert "model.auxiliary_head.1.num_classes is 19" in problem.what


def test_a_set_without_classes_is_named(root):
    (problem,) = problems_of(config(root, metainfo={}))
    assert "BaseSegDataset has no classes" in problem.what


def test_labels_that_mmseg_maps_or_drops_are_in_range(root):
    """reduce_zero_label: 0 is ignored and 1, 2 are the classes."""
    save_mask(np.full((4, 6), 2, dtype=np.uint8), mask(root, "a"))
    assert problems_of(config(root, reduce_zero_label=True)) == []
    save_mask(np.full((4, 6), 3, dtype=np.uint8), mask(root, "a"))
    assert len(problems_of(config(root, reduce_zero_label=True))) == 1


def test_a_part_of_vocs_classes_takes_all_of_vocs_labels(root):
    """Label 20 of VOC becomes class 0, all other classes are ignored, label 21 is none of VOC's."""
    some = {"type": "PascalVOCDataset", "metainfo": {"classes": ("tvmonitor", "person")}}
    save_mask(np.full((4, 6), 20, dtype=np.uint8), mask(root, "a"))
    assert problems_of(config(root, **some)) == []
    save_mask(np.full((4, 6), 21, dtype=np.uint8), mask(root, "a"))
    (problem,) = problems_of(config(root, **some))
    assert "a.png (21)" in problem.what


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("VOCdevkit/VOC2012", "VOCtrainval_11-May-2012.tar"),
        ("cityscapes", "csCreateTrainIdLabelImgs"),
        ("mini/segmentation", "python tools/data/make_mini_data.py segmentation"),
    ],
)
def test_a_set_that_is_not_there_comes_with_its_source(monkeypatch, tmp_path, place, words):
    monkeypatch.chdir(tmp_path)
    (problem,) = problems_of(config(f"data/{place}"))
    assert words in problem.get


def test_voc_without_sbd_points_to_the_tool(root):
    prefix = {"img_path": "JPEGImages", "seg_map_path": "SegmentationClassAug"}
    problems = problems_of(config(root, data_prefix=prefix, ann_file="ImageSets/Segmentation/aug.txt"))
    assert len(problems) == 2
    assert all("python tools/data/prepare_voc_aug.py" in problem.get for problem in problems)
