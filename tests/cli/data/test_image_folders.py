"""The digits as image folders, and Tiny ImageNet's lists: what mmpretrain's own datasets read from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from normreg_plugins.cli.data import prepare_tinyimagenet
from normreg_plugins.cli.data.mini_data import digit_folders
from normreg_plugins.cli.data.mini_data.recipe import make_once


def make(folder, **settings):
    recipe = replace(digit_folders.RECIPE, **{"train": 30, "val": 20, "size": 8, **settings})
    make_once(folder, recipe, digit_folders.draw)
    return {str(path.relative_to(folder)): np.array(Image.open(path)) for path in folder.rglob("*.png")}


def test_each_digit_is_in_the_folder_of_its_class_once(tmp_path):
    images = make(tmp_path / "set", train=1000, val=797)
    digits = load_digits()
    expected = sorted(
        (str(y), (x * 255 / 16).round().astype(np.uint8).tobytes()) for x, y in zip(digits.images, digits.target)
    )
    assert sorted((name.split("/")[1], image.tobytes()) for name, image in images.items()) == expected
    assert sum(name.startswith("train/") for name in images) == 1000


def test_a_seed_draws_another_split_and_a_larger_image_keeps_the_digit(tmp_path):
    first, second = make(tmp_path / "a"), make(tmp_path / "b", seed=1)
    assert first.keys() != second.keys()
    wide = make(tmp_path / "c", size=32)
    assert {name: image.shape for name, image in wide.items()} == dict.fromkeys(first, (32, 32))


@pytest.mark.parametrize(
    ("settings", "message"), [({"train": 1797}, "1797 digits, 1797 \\+ 20"), ({"size": 4}, "at least 8")]
)
def test_what_there_is_not_is_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        make(tmp_path / "set", **settings)


@pytest.fixture
def archive(tmp_path):
    """tiny-imagenet-200 with two classes."""
    source = tmp_path / "tiny-imagenet-200"
    (source / "val" / "images").mkdir(parents=True)
    (source / "wnids.txt").write_text("n02\nn01\n")
    for wnid in ("n01", "n02"):
        (source / "train" / wnid / "images").mkdir(parents=True)
        for number in (0, 1):
            Image.new("RGB", (64, 64)).save(source / "train" / wnid / "images" / f"{wnid}_{number}.JPEG")
    for number in (0, 1):
        Image.new("RGB", (64, 64)).save(source / "val" / "images" / f"val_{number}.JPEG")
    (source / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\t0\t9\t9\nval_1.JPEG\tn01\t0\t0\t9\t9\n")
    return source


@pytest.mark.mmpretrain
def test_mmpretrain_reads_tiny_imagenet_by_the_configs_settings(archive, tmp_path, capsys):
    from helpers.config_keys import load
    from mmpretrain.datasets import CustomDataset

    target = tmp_path / "data"
    for _ in range(2):  # the second time changes nothing
        assert prepare_tinyimagenet.main([str(archive), str(target), "--any-counts"]) == 0
    assert "4 training and 2 validation images of 2 classes" in capsys.readouterr().out
    assert (target / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")
    cfg = load("classification/resnet18_wd_tinyimagenet")
    for phase, labels in (("train", [0, 0, 1, 1]), ("val", [1, 0])):
        settings = cfg[f"{phase}_dataloader"]["dataset"]
        settings = {key: settings[key] for key in ("data_prefix", "ann_file")}
        dataset = CustomDataset(data_root=str(target), **settings)
        assert [dataset.get_data_info(i)["gt_label"] for i in range(len(dataset))] == labels
        assert all(Path(dataset.get_data_info(i)["img_path"]).is_file() for i in range(len(dataset)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda _: None, "has 2 classes, 4 training and 2 validation images, Tiny ImageNet has 200"),
        (lambda source: (source / "wnids.txt").unlink(), "wnids.txt does not exist"),
        (lambda source: (source / "val" / "images" / "val_1.JPEG").unlink(), "1 validation images are missing"),
    ],
)
def test_another_archive_is_refused_and_nothing_is_written(archive, tmp_path, capsys, spoil, message):
    spoil(archive)
    assert prepare_tinyimagenet.main([str(archive), str(tmp_path / "data")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_folder_of_the_users_is_never_replaced(archive, tmp_path, capsys):
    (tmp_path / "data" / "train").mkdir(parents=True)
    assert prepare_tinyimagenet.main([str(archive), str(tmp_path / "data"), "--any-counts"]) == 2
    assert "exists and is no link" in capsys.readouterr().err
