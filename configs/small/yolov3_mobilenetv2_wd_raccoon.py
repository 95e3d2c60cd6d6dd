# mmdet's own YOLOv3 on MobileNetV2 from ImageNet weights, fine-tuned on 120 pictures of raccoons in 100 updates.
# Data: normreg prepare-bccd RACCOON data/raccoon --any-counts (RACCOON of github.com/datitran/raccoon_dataset, VOC
# layout). Weights: python -m research.prepare_mobilenetv2 mobilenet_v2-b0353104.pth mmdet data/weights/mobilenet_v2_mm.pth
_base_ = "mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py"

data_root = "data/raccoon/"
metainfo = dict(classes=("raccoon",))
pretrained = "data/weights/mobilenet_v2_mm.pth"
input_size = (160, 160)

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WD"))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=10),
    dict(type="CosineAnnealingLR", T_max=100, by_epoch=False, begin=0, end=100),
]
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=100, val_interval=100)
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=100, save_best="coco/bbox_mAP_50", rule="greater", max_keep_ckpts=1),
)
log_processor = dict(by_epoch=False)

model = dict(
    backbone=dict(act_cfg=dict(_delete_=True, type="ReLU6"), init_cfg=dict(checkpoint=pretrained)),
    bbox_head=dict(num_classes=len(metainfo["classes"])),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Expand", mean=[123.675, 116.28, 103.53], to_rgb=True, ratio_range=(1, 2)),
    dict(type="MinIoURandomCrop", min_ious=(0.4, 0.5, 0.6, 0.7, 0.8, 0.9), min_crop_size=0.3),
    dict(type="Resize", scale=input_size, keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=input_size, keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]
data = dict(type="CocoDataset", data_root=data_root, metainfo=metainfo)
train_dataloader = dict(
    _delete_=True,
    batch_size=8,
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(**data, ann_file="annotations/train.json", data_prefix=dict(img="images/train/"), pipeline=train_pipeline),
)
val_dataloader = dict(
    _delete_=True,
    batch_size=8,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        **data, ann_file="annotations/val.json", data_prefix=dict(img="images/val/"), pipeline=test_pipeline, test_mode=True
    ),
)
test_dataloader = dict(
    _delete_=True,
    batch_size=8,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        **data,
        ann_file="annotations/test.json",
        data_prefix=dict(img="images/test/"),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(ann_file=data_root + "annotations/val.json")
test_evaluator = dict(ann_file=data_root + "annotations/test.json")
randomness = dict(seed=0)
