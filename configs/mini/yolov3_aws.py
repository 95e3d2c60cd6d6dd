# YOLOv3 with adaptive weight shrink (AWS) on weight-standardized convolutions, on the drawn set, from random weights.
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="AWS", alpha=2.5e-3))
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    neck=dict(conv_cfg=weight_standardized),
    bbox_head=dict(conv_cfg=weight_standardized),
)
work_dir = "work_dirs/mini/yolov3_aws"  # configs/yolov3_aws.py writes to work_dirs/yolov3_aws
