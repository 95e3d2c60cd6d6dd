# YOLOv3 with adaptive weight shrink on the drawn set, from scratch.
_base_ = [
    "../_base_/models/mini_yolov3_d53.py",
    "../_base_/datasets/mini_detection.py",
    "../_base_/schedules/mini_yolov3.py",
    "../_base_/regularizers/aws.py",
    "../_base_/runtimes/mini_detection.py",
]
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=4e-3, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    neck=dict(conv_cfg=weight_standardized),
    bbox_head=dict(conv_cfg=weight_standardized),
)
work_dir = "work_dirs/mini/yolov3_aws"  # configs/yolov3_aws.py writes to work_dirs/yolov3_aws
