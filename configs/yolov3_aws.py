# YOLOv3 on COCO 2017 with adaptive weight shrink (AWS): every convolution that a norm follows
# computes with a standardized weight (WS), as in the AWS paper, which does not try detection.
# Protocol, rate and decay: see yolov3_wd.py. alpha is multiplied by 8 for the reason the decay is:
# the shrink of a step is lr * alpha * std.
_base_ = [
    "_base_/models/yolov3_d53.py",
    "_base_/datasets/coco2017_yolov3.py",
    "_base_/schedules/cosine_100e.py",
    "_base_/regularizers/aws.py",
    "_base_/runtimes/detection.py",
]
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.01 / 8, momentum=0.9, weight_decay=8 * 5e-4),
    regularizer=dict(alpha=8 * 2.5e-3),
    clip_grad=dict(max_norm=35, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    neck=dict(conv_cfg=weight_standardized),
    bbox_head=dict(conv_cfg=weight_standardized),
)
