# YOLOv3 with adaptive weight shrink (AWS) on weight-standardized convolutions, on the drawn set, from random weights.
# So short a training needs a large alpha: its 250 rates add up to 0.5, and filters of std 0.06 would shrink by
# 0.3 nats.
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=10.0),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    neck=dict(conv_cfg=weight_standardized),
    bbox_head=dict(conv_cfg=weight_standardized),
)
work_dir = "work_dirs/mini/yolov3_aws"  # configs/yolov3_aws.py writes to work_dirs/yolov3_aws
