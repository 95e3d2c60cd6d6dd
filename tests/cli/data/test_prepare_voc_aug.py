from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from normreg_plugins.cli.data import prepare_voc_aug as prep
from normreg_plugins.evaluation import read_mask, save_mask

VOC = {"train": ["t1", "t2"], "val": ["v1"]}
SBD = {"train": ["t1", "s2", "s1"], "val": ["v1", "s3"]}
COUNTS = prep.Counts(train=2, val=1, aug=3)
SIZE = (7, 5)  # width, height


class Folders(NamedTuple):
    voc: Path
    sbd: Path


def labels_of(name):
    """A mask of its own for each image, with the highest label of VOC in it."""
    rng = np.random.default_rng([*name.encode()])
    labels = rng.integers(0, 21, SIZE[::-1]).astype(np.uint8)
    labels[0, :2] = 20, 255
    return labels


def save_mat(path, labels, name="GTcls"):
    content = {"Segmentation": labels, "Boundaries": np.zeros((3, 3)), "CategoriesPresent": np.unique(labels)}
    savemat(path, {name: content}, do_compression=True)


@pytest.fixture
def folders(tmp_path):
    """VOC with two training images and one of validation; SBD with three more, and one of each of VOC's."""
    voc, sbd = tmp_path / "VOC2012", tmp_path / "dataset"
    for folder in (voc / "JPEGImages", voc / prep.LISTS, sbd / "cls"):
        folder.mkdir(parents=True)
    for root, splits in ((voc / prep.LISTS, VOC), (sbd, SBD)):
        for split, names in splits.items():
            (root / f"{split}.txt").write_text("\n".join(names) + "\n")
    for name in {*VOC["train"], *VOC["val"], *SBD["train"], *SBD["val"]}:
        Image.new("RGB", SIZE).save(voc / "JPEGImages" / f"{name}.jpg")
        save_mat(sbd / "cls" / f"{name}.mat", labels_of(name))
    return Folders(voc, sbd)


def mask(voc, name):
    return voc / prep.MASKS / f"{name}.png"


def test_it_adds_what_voc_neither_trains_nor_validates_on(folders, capsys):
    voc, sbd = folders
    prep.prepare(voc, sbd, COUNTS)
    assert (voc / prep.LISTS / "aug.txt").read_text() == "s1\ns2\ns3\n"
    assert sorted(path.name for path in (voc / prep.MASKS).iterdir()) == ["s1.png", "s2.png", "s3.png"]
    for name in ("s1", "s2", "s3"):
        assert (read_mask(mask(voc, name)) == labels_of(name)).all()
    told = capsys.readouterr().out
    assert "3 masks written, 0 were there" in told
    assert "5 images to train on" in told


@pytest.mark.mm
def test_mmseg_reads_what_was_made(folders):
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    init_default_scope("mmseg")
    voc, sbd = folders
    prep.prepare(voc, sbd, COUNTS)
    dataset = DATASETS.build(
        {
            "type": "PascalVOCDataset",
            "data_root": str(voc),
            "ann_file": "ImageSets/Segmentation/aug.txt",
            "data_prefix": {"img_path": "JPEGImages", "seg_map_path": "SegmentationClassAug"},
            "pipeline": [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}],
        }
    )
    assert len(dataset) == 3
    assert (dataset[1]["gt_seg_map"] == labels_of("s2")).all()


def test_it_goes_on_where_it_stopped(folders, capsys, monkeypatch):
    voc, sbd = folders
    save, saved = prep.save_mask, []

    def stop_at_the_second(labels, path):
        if saved:
            raise KeyboardInterrupt
        saved.append(path)
        save(labels, path)

    monkeypatch.setattr(prep, "save_mask", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        prep.prepare(voc, sbd, COUNTS)
    assert not (voc / prep.LISTS / "aug.txt").exists()
    before = mask(voc, "s1").stat().st_mtime_ns
    monkeypatch.undo()
    prep.prepare(voc, sbd, COUNTS)
    assert mask(voc, "s1").stat().st_mtime_ns == before
    assert "2 masks written, 1 were there" in capsys.readouterr().out
    prep.prepare(voc, sbd, COUNTS)
    assert "0 masks written, 3 were there" in capsys.readouterr().out


def test_everything_that_is_missing_is_named_at_once_with_its_source(run_tool, tmp_path):
    done = run_tool("data/prepare_voc_aug.py", "--voc", tmp_path / "VOC2012", "--sbd", tmp_path / "dataset")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for name in ("JPEGImages", "cls", "VOCtrainval_11-May-2012.tar", "benchmark.tgz"):
        assert name in done.stderr
    assert not list(tmp_path.iterdir())


def test_lists_of_another_length_are_refused_and_nothing_is_written(run_tool, folders):
    voc, sbd = folders
    done = run_tool("data/prepare_voc_aug.py", "--voc", voc, "--sbd", sbd)
    assert done.returncode == 2
    assert "train.txt lists 2 images, VOC 2012 has 1464" in done.stderr
    assert not (voc / prep.MASKS).exists()


def test_the_counts_are_the_papers():
    counts = prep.Counts()
    assert (counts.train + counts.aug, counts.val) == (10_582, 1_449)


def share_an_image(root):
    (root.voc / prep.LISTS / "val.txt").write_text("t1\n")


def lose_a_photo(root):
    (root.voc / "JPEGImages" / "v1.jpg").unlink()


def lose_a_mat(root):
    (root.sbd / "cls" / "s2.mat").unlink()


def shorten_the_list(root):
    (root.sbd / "val.txt").write_text("v1\n")


def tear_a_mat(root):
    path = root.sbd / "cls" / "s2.mat"
    path.write_bytes(path.read_bytes()[:-20])


def no_mat(root):
    (root.sbd / "cls" / "s2.mat").write_bytes(b"<html>not found</html>")


def another_variable(root):
    save_mat(root.sbd / "cls" / "s2.mat", labels_of("s2"), name="GTinst")


def strange_label(root):
    save_mat(root.sbd / "cls" / "s2.mat", np.full(SIZE[::-1], 21, dtype=np.uint8))


def another_size(root):
    save_mat(root.sbd / "cls" / "s2.mat", labels_of("s2").T)


def half_a_mask(root):
    (root.voc / prep.MASKS).mkdir()
    save_mask(labels_of("s2"), mask(root.voc, "s2"))
    mask(root.voc, "s2").write_bytes(mask(root.voc, "s2").read_bytes()[:60])


def another_mask(root):
    (root.voc / prep.MASKS).mkdir()
    save_mask(labels_of("s2").T.copy(), mask(root.voc, "s2"))


def another_list(root):
    (root.voc / prep.LISTS / "aug.txt").write_text("t1\n")


BROKEN = {
    r"train.txt and val.txt share 1 images, e.g. t1": share_an_image,
    r"JPEGImages lacks 1 of 6 files, e.g. v1.jpg": lose_a_photo,
    r"cls lacks 1 of 3 files, e.g. s2.mat": lose_a_mat,
    r"adds 2 images to VOC's 2, not 3.*--any-counts": shorten_the_list,
    r"s2.mat is no class file of SBD, or was cut off": tear_a_mat,
    r"s2.mat is no class file of SBD, or was cut off.*\w": no_mat,
    r"s2.mat is no class file of SBD.*GTcls": another_variable,
    r"s2.mat has labels such as 21": strange_label,
    r"s2.mat is for another image": another_size,
    r"s2.png was there and cannot be read": half_a_mask,
    r"s2.png was there and is for an image of another size": another_mask,
    r"aug.txt is there and lists other images": another_list,
}


@pytest.mark.parametrize("words", BROKEN)
def test_what_is_broken_is_named_and_the_set_stays_incomplete(folders, words):
    BROKEN[words](folders)
    before = {path: path.read_bytes() for path in folders.voc.parent.rglob("*") if path.is_file()}
    with pytest.raises(prep.AugError, match=words):
        prep.prepare(*folders, COUNTS)
    assert all(path.read_bytes() == content for path, content in before.items())
    if "aug.txt" not in words:
        assert not (folders.voc / prep.LISTS / "aug.txt").exists()
    assert not list(folders.voc.rglob(".unfinished*"))
