# YOLOv3 with constrained weights on the drawn set, from scratch.
_base_ = [
    "../_base_/models/mini_yolov3_d53.py",
    "../_base_/datasets/mini_detection.py",
    "../_base_/schedules/mini_yolov3.py",
    "../_base_/regularizers/pgd.py",
    "../_base_/runtimes/mini_detection.py",
]
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=4e-3, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
scale_bias = dict(type="NormRegScaleBias")
model = dict(
    backbone=dict(norm_cfg=scale_bias),
    neck=dict(norm_cfg=scale_bias),
    bbox_head=dict(norm_cfg=scale_bias),
)
custom_hooks = [
    dict(type="NormRegZeroScaleHook", names=["*.conv_res_block*.conv2.bn"]),
    dict(type="NormRegLinearNoiseHook", sigma=0.4),
    dict(type="NormLogHook", interval=5),
]
work_dir = "work_dirs/mini/yolov3_pgd"  # configs/yolov3_pgd.py writes to work_dirs/yolov3_pgd
