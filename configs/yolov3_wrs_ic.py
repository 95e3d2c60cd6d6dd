# YOLOv3 on COCO 2017 with WRS(IC), the variant of the WRS paper with a norm per kernel position.
# Protocol, rate and decay: see yolov3_wd.py. The paper does not try it on detection.
_base_ = [
    "_base_/models/yolov3_d53.py",
    "_base_/datasets/coco2017_yolov3.py",
    "_base_/schedules/cosine_100e.py",
    "_base_/regularizers/wrs_ic.py",
    "_base_/runtimes/detection.py",
]
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.01 / 8, momentum=0.9, weight_decay=8 * 5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
