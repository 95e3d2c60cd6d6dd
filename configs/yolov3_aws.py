# YOLOv3 on COCO 2017 with adaptive weight shrink (AWS) on weight-standardized convolutions. alpha is the paper's for
# ImageNet times 8, because the learning rate is divided by 8 (see yolov3_wd.py).
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=8 * 2.5e-3),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized, init_cfg=dict(type="NormRegPretrained")),
    neck=dict(conv_cfg=weight_standardized),
    bbox_head=dict(conv_cfg=weight_standardized),
)
