# CamVid as normreg prepare-camvid prepares it, 367 + 101 + 233 images, in the size that one CPU core can train:
# 192 x 144 px. Scores are on the masks of 480 x 360 px. Void pixels (255) do not count. The best checkpoint is chosen on
# the validation images and tested on the test images.
_base_ = "./mini_segmentation.py"

data_root = "data/camvid"
metainfo = dict(
    classes=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    palette=[
        [128, 128, 128],
        [128, 0, 0],
        [192, 192, 128],
        [128, 64, 128],
        [60, 40, 222],
        [128, 128, 0],
        [192, 128, 128],
        [64, 64, 128],
        [64, 0, 128],
        [64, 64, 0],
        [0, 128, 192],
    ],
)
input_scale = (192, 144)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="Resize", scale=input_scale),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=input_scale),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
layout = dict(data_root=data_root, metainfo=metainfo, ann_file="", img_suffix=".jpg", seg_map_suffix=".png")
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        **layout, data_prefix=dict(img_path="img_dir/train", seg_map_path="ann_dir/train"), pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(**layout, data_prefix=dict(img_path="img_dir/val", seg_map_path="ann_dir/val"), pipeline=test_pipeline),
)
test_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(**layout, data_prefix=dict(img_path="img_dir/test", seg_map_path="ann_dir/test"), pipeline=test_pipeline),
)
