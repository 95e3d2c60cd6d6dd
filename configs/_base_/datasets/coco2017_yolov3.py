# COCO 2017, 118,287 training and 5,000 validation images.
#
# Input size. The paper says "640x320" and no more. mm reads such a scale as follows: the long side is at most 640, the
# short side is at most 320, and the ratio is kept. So a 640x480 photo becomes 427x320. The paper may also mean the two
# ends of a multi-scale range, which is one line in mmdet's style:
#   dict(type='RandomResize', scale=[(320, 320), (640, 640)], keep_ratio=True)
# The paper does not mention augmentation. This one is that of mmdet's YOLOv3.
dataset_type = "CocoDataset"
data_root = "data/coco/"
input_scale = (640, 320)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Expand", mean=[0, 0, 0], to_rgb=True, ratio_range=(1, 2)),
    dict(type="MinIoURandomCrop", min_ious=(0.4, 0.5, 0.6, 0.7, 0.8, 0.9), min_crop_size=0.3),
    dict(type="Resize", scale=input_scale, keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=input_scale, keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]

# The paper's batch of 8 images. Gradient accumulation: docs/protocols.md.
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    batch_sampler=dict(type="AspectRatioBatchSampler"),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file="annotations/instances_train2017.json",
        data_prefix=dict(img="train2017/"),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file="annotations/instances_val2017.json",
        data_prefix=dict(img="val2017/"),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = [
    dict(type="CocoMetric", ann_file=data_root + "annotations/instances_val2017.json", metric="bbox"),
    # Precision, recall and F1 at each validation, for Fig. 9 of the paper: normreg plot-norms draws them.
    dict(type="NormRegPrecisionRecallMetric", ann_file=data_root + "annotations/instances_val2017.json"),
]
test_evaluator = val_evaluator
