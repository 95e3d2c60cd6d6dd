# BCCD as normreg prepare-bccd prepares it, 205 + 87 + 72 images, in the size that one CPU core can train: 192 x
# 144 px. The best checkpoint is chosen on the validation images and tested on the test images.
_base_ = "./mini_detection.py"

data_root = "data/bccd/"
metainfo = dict(classes=("RBC", "WBC", "Platelets"))
input_scale = (192, 144)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=input_scale, keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=input_scale, keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        data_prefix=dict(img="images/train/"),
        filter_cfg=dict(min_size=0),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, metainfo=metainfo, data_prefix=dict(img="images/val/"), pipeline=test_pipeline),
)
test_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file="annotations/test.json",
        data_prefix=dict(img="images/test/"),
        pipeline=test_pipeline,
    ),
)

val_evaluator = [
    dict(type="CocoMetric", ann_file=data_root + "annotations/val.json", metric="bbox"),
    dict(type="NormRegPrecisionRecallMetric", ann_file=data_root + "annotations/val.json"),
]
test_evaluator = [
    dict(type="CocoMetric", ann_file=data_root + "annotations/test.json", metric="bbox"),
    dict(type="NormRegPrecisionRecallMetric", ann_file=data_root + "annotations/test.json"),
]
